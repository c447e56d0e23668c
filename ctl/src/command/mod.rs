//! The commands of `udpchatctl`, one file or folder each: arguments, help text, run and rendering together.
//!
//! Belongs here: the commands, and what several of them share (`condition`, `context`, `deliveries`, `filter`, `outcome`, `senders`, `pages`, `pipeline`,
//! `ticks`, `unknown_numbers`). Does not belong here: the global flags and parsing (`cli`), the streams and how entries look (`output`).
//! Only `cli` and the crate root may use this file; no command uses another one, except `reply` and `ask`, which send (`send`) and wait (`wait`), and
//! `consumers`, which sets read marks where `inbox` begins and as `ack` does.
//!
//! To add a command: write its file, then add a `mod` line, a variant of [`Command`] and an arm of [`run`] here.

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
pub(crate) mod man;
mod outcome;
mod pages;
pub(crate) mod peers;
mod pipeline;
pub(crate) mod plot;
pub(crate) mod recode;
pub(crate) mod reload;
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

use clap::Subcommand;

use self::context::Context;
use crate::error::Result;

/// A command with its arguments; the help texts are at the arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Send(Box<send::SendArgs>),
    Reply(reply::ReplyArgs),
    Ask(ask::AskArgs),
    Wait(wait::WaitArgs),
    Inbox(Box<inbox::InboxArgs>),
    Ack(ack::AckArgs),
    Held(held::HeldArgs),
    Consumers(consumers::ConsumersArgs),
    Export(export::ExportArgs),
    Replay(Box<replay::ReplayArgs>),
    Recode(Box<recode::RecodeArgs>),
    Chat(chat::ChatArgs),
    Peers(peers::PeersArgs),
    Plot(plot::PlotArgs),
    Status(status::StatusArgs),
    Doctor(doctor::DoctorArgs),
    Reload(reload::ReloadArgs),
    Stop(stop::StopArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Version(version::VersionArgs),
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
