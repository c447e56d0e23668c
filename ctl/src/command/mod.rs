//! The commands of `udpchatctl`, one file or folder each: arguments, help text, run and rendering together.
//!
//! Belongs here: the commands, and what several of them share (`condition`, `context`, `deliveries`, `filter`, `outcome`, `senders`, `pages`, `pipeline`,
//! `known_names`, `ticks`, `unknown_numbers`, `wanted_number`). Does not belong here: the global flags and parsing (`cli`), the streams and how entries look (`output`).
//! Only `cli` and the crate root may use this file; no command uses another one, except `reply` and `ask`, which send (`send`) and wait (`wait`), and
//! `consumers`, which sets read marks where `inbox` begins and as `ack` does.
//!
//! To add a command: write its file, then add a `mod` line, a line of `commands` and an arm of [`run`] here.

pub(crate) mod ack;
pub(crate) mod ask;
pub(crate) mod chat;
pub(crate) mod completions;
mod condition;
pub(crate) mod consumers;
pub(crate) mod context;
mod deliveries;
pub(crate) mod doctor;
pub(crate) mod export;
mod filter;
pub(crate) mod held;
pub(crate) mod inbox;
pub(crate) mod known_names;
mod man;
mod outcome;
mod pages;
pub(crate) mod peers;
mod pipeline;
pub(crate) mod plot;
pub(crate) mod recode;
pub(crate) mod reload;
mod removed;
pub(crate) mod replay;
pub(crate) mod reply;
pub(crate) mod send;
mod senders;
pub(crate) mod status;
pub(crate) mod stop;
mod ticks;
mod unknown_numbers;
pub(crate) mod version;
pub(crate) mod wait;
mod wanted_number;

use clap::{Args as _, Subcommand};

use self::context::Context;
use crate::error::Result;

/// Makes [`Command`] of the modules of the commands, which have their names.
macro_rules! commands {
    ($($name:ident: $variant:ident($arguments:ty),)*) => {
        /// A command with its arguments; the help texts are at the arguments.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Command {
            $($variant($arguments),)*
        }

        impl Command {
            /// Returns the definition of one command, which is made faster than that of all.
            pub(crate) fn definition_of(name: &str) -> Option<clap::Command> {
                $(if name == stringify!($name) {
                    return Some(<$arguments>::augment_args(clap::Command::new(stringify!($name))));
                })*
                None
            }
        }
    };
}

commands! {
    send: Send(Box<send::SendArgs>),
    reply: Reply(reply::ReplyArgs),
    ask: Ask(ask::AskArgs),
    wait: Wait(wait::WaitArgs),
    inbox: Inbox(Box<inbox::InboxArgs>),
    ack: Ack(ack::AckArgs),
    held: Held(held::HeldArgs),
    consumers: Consumers(consumers::ConsumersArgs),
    export: Export(export::ExportArgs),
    replay: Replay(Box<replay::ReplayArgs>),
    recode: Recode(Box<recode::RecodeArgs>),
    chat: Chat(chat::ChatArgs),
    peers: Peers(peers::PeersArgs),
    plot: Plot(plot::PlotArgs),
    status: Status(status::StatusArgs),
    doctor: Doctor(doctor::DoctorArgs),
    reload: Reload(reload::ReloadArgs),
    stop: Stop(stop::StopArgs),
    completions: Completions(completions::CompletionsArgs),
    man: Man(man::ManArgs),
    version: Version(version::VersionArgs),
}

/// Runs a command; `definition` returns the definition of the whole command line, for the manual page.
pub(crate) async fn run(
    command: Command,
    context: Context<'_>,
    definition: fn() -> clap::Command,
) -> Result<()> {
    match command {
        Command::Send(arguments) => send::run(context, &arguments).await,
        Command::Reply(arguments) => reply::run(context, &arguments).await,
        Command::Ask(arguments) => ask::run(context, &arguments).await,
        Command::Wait(arguments) => wait::run(context, &arguments).await,
        Command::Inbox(arguments) => inbox::run(context, &arguments).await,
        Command::Held(arguments) => held::run(context, &arguments).await,
        Command::Ack(arguments) => ack::run(context, &arguments).await,
        Command::Consumers(arguments) => consumers::run(context, &arguments).await,
        Command::Export(arguments) => export::run(context, &arguments).await,
        Command::Replay(arguments) => replay::run(context, &arguments).await,
        Command::Recode(arguments) => recode::run(context, &arguments).await,
        Command::Chat(arguments) => chat::run(context, &arguments).await,
        Command::Peers(arguments) => peers::run(context, &arguments).await,
        Command::Plot(arguments) => plot::run(context, &arguments).await,
        Command::Status(arguments) => status::run(context, &arguments).await,
        Command::Doctor(arguments) => doctor::run(context, &arguments).await,
        Command::Reload(_) => reload::run(context).await,
        Command::Stop(args) => stop::run(context, args).await,
        Command::Completions(arguments) => completions::run(context.output, &arguments),
        Command::Man(arguments) => man::run(context.output, &arguments, definition),
        Command::Version(arguments) => version::run(context, &arguments).await,
    }
}
