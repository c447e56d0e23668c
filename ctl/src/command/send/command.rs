//! The arguments of `send`, and which of its forms they are.

use clap::Args;
use clap_complete::ArgValueCandidates;
use udpchat_api::call::SendParams;

use super::args::LinesArgs;
use super::confirm::ConfirmArgs;
use super::destination::To;
use super::form::FormArgs;
use super::hold::HoldArgs;
use super::many::{self, ManyArgs};
use super::order::check_order;
use super::port::refuse_port;
use super::{job, sender};
use crate::command::completions::candidates;
use crate::command::context::Context;
use crate::error::Result;

const HELP: &str = "\
The payload of the datagram is exactly the message: nothing is added and nothing is removed. `echo` ends its output with \
a line end; `printf` and `echo -n` do not. Standard input must be UTF-8; `--file -` sends any bytes. \
Write `--` before a TEXT that begins with `-`. \
With --when-seen the message is not sent now, but as soon as a message from TO has arrived: to the port of TO in the \
configuration, otherwise to the port that it came from; of several, up to 16, 20 ms apart, and the others after its next \
message. It is encoded now, survives restarts, and may be sent twice if the daemon is killed at that moment. \
`udpchatctl held` lists and cancels what is held. \
TO may be a broadcast address or a multicast group; name the interface after `%` where no route determines it.

Examples:
  udpchatctl send bob hello world
  udpchatctl send '[fd00::2]:8080' -e gbk 你好
  udpchatctl send 192.168.43.255 who is there
  udpchatctl send ff02::1%eth0 who is there
  printf 'two\\nlines' | udpchatctl send bob
  udpchatctl send bob --hex 'c4 e3 ba c3'
  udpchatctl send bob --escape 'a\\tb\\x00'
  udpchatctl send board8 'AT+RST' --eol crlf
  udpchatctl send board8 'AT+RST' --last-port
  udpchatctl send bob --file letter.txt --split
  tail -f /var/log/syslog | udpchatctl send bob --lines
  udpchatctl send bob,sensor7,10.0.0.9:9000 hello
  udpchatctl send bob --every 100ms -c 50 --fill '{{n:04}} {{time:%H:%M}}'
  udpchatctl send plc --every 1s --hex --fill 'aa {{n:04x}}' --append sum8
  udpchatctl send plc --hex '01 03 00 0a 00 02' --append crc16-modbus
  udpchatctl send --again 812
  udpchatctl send sensor7 interval=60 --when-seen --for 2d
  udpchatctl send bob -- --not-a-flag";

/// Send a message
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct SendArgs {
    // Not a documentation comment: the brackets would be links.
    #[arg(
        value_name = "TO",
        help = "The name of a peer or of a list, host[:port] or [v6]:port, or several with commas between them; the default port is 7788"
    )]
    #[arg(add = ArgValueCandidates::new(candidates::peers))]
    #[arg(required_unless_present = "again")]
    pub(crate) to: Option<String>,
    /// Send to the port that the last message of TO came from, as `chat` and `reply` do
    #[arg(long, conflicts_with_all = ["again", "when_seen"])]
    pub(crate) last_port: bool,
    #[command(flatten)]
    pub(crate) message: LinesArgs,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) many: ManyArgs,
    #[command(flatten)]
    pub(crate) hold: HoldArgs,
    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
}

impl SendArgs {
    /// Returns whether each message is sent as it is, once, to one destination.
    fn is_plain(&self) -> bool {
        let is_one = self.to.as_ref().is_some_and(|to| !many::may_be_several(to));
        is_one
            && self.many.are_unused()
            && self.form.is_unused()
            && !self.confirm.is_given()
            && !self.last_port
    }

    /// Refuses a port that stands behind its host.
    async fn refuse_port(&self, context: &Context<'_>) -> Result<()> {
        match &self.to {
            Some(to) => refuse_port(context, "send", to, &self.message.message).await,
            None => Ok(()),
        }
    }
}

/// Runs `send`.
pub(crate) async fn run(context: Context<'_>, arguments: &SendArgs) -> Result<()> {
    if let Some(to) = &arguments.to
        && arguments.many.again.is_none()
        && !arguments.message.lines
    {
        check_order("send", to, &arguments.message.message)?;
    }
    arguments.refuse_port(&context).await?;
    arguments.form.note_literal(context.output, &arguments.message.message);
    if !arguments.is_plain() {
        let SendArgs { to, last_port, message, form, many, hold, confirm } = arguments;
        let to = to.as_deref().map(|to| To::Named { to, is_last_port: *last_port });
        return job::run(context, to, message, (form, many, hold), *confirm).await;
    }
    let target = SendParams { to: arguments.to.clone(), ..arguments.hold.params() };
    sender::send(context, target, &arguments.message).await
}
