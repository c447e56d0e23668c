//! A list from which the user chooses a peer or an encoding; typing filters it.

use udpchat_api::safe;
use udpchat_config::Encoding;
use udpchat_locale::tr;

use super::peer::PeerKey;
use super::peer_list::{PeerList, PeerRow};
use crate::command::chat::editor::Editor;
use crate::output::in_one_line;
use crate::terminal::wrap;

/// The encodings that are listed before anything is typed.
const COMMON: [&str; 10] = [
    "utf-8",
    "gbk",
    "gb18030",
    "big5",
    "shift_jis",
    "euc-kr",
    "utf-16le",
    "windows-1251",
    "windows-1252",
    "hex",
];

/// The list on the screen.
#[derive(Debug, Default)]
pub(in crate::command::chat) struct Picker {
    pub(in crate::command::chat) kind: PickerKind,
    /// The typed text.
    pub(in crate::command::chat) query: Editor,
    /// The index of the selected choice.
    pub(in crate::command::chat) selected: usize,
}

/// What is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::command::chat) enum PickerKind {
    #[default]
    Peers,
    Encodings,
    /// Whether messages of the peer are read in this encoding, too; none is the peer's own.
    Reading(Option<String>),
}

/// A line of the list, safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) struct Choice {
    pub(in crate::command::chat) label: String,
    pub(in crate::command::chat) detail: String,
    pub(super) action: ChoiceAction,
}

/// What a choice does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChoiceAction {
    /// Opens a conversation.
    Open(PeerKey),
    /// Explains that a list of peers has no conversation.
    RefuseList(String),
    /// Sends in this encoding, or in the peer's encoding if there is none.
    Encode(Option<String>),
    /// Reads the peer's messages in this encoding, or as detected if there is none.
    Read(Option<String>),
    /// Changes nothing.
    Leave,
}

impl Picker {
    pub(super) fn new(kind: PickerKind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Explains why the typed text matches no choice.
    pub(in crate::command::chat) fn no_match(&self) -> String {
        match (&self.kind, self.query.text().parse::<Encoding>()) {
            (PickerKind::Encodings, Err(error)) => {
                wrap::display_line(&in_one_line(&error.to_string(), error.hint())).into_owned()
            }
            (PickerKind::Peers, _) => tr!("no match; type an address or a host name").to_owned(),
            (PickerKind::Encodings | PickerKind::Reading(_), _) => tr!("no match").to_owned(),
        }
    }

    /// Lists the choices that match the typed text; `open` is the peer of the open conversation.
    pub(super) fn choices(&self, peers: &PeerList, open: Option<&PeerRow>) -> Vec<Choice> {
        let query = self.query.text().trim();
        match &self.kind {
            PickerKind::Peers => peer_choices(query, peers),
            PickerKind::Encodings => encoding_choices(query, open),
            PickerKind::Reading(encoding) => reading_choices(query, encoding.as_deref()),
        }
    }
}

/// Explains that a list of peers has no conversation, and what to do.
pub(in crate::command::chat) fn list_refusal(name: &str) -> (String, String) {
    let name = safe::one_line(name);
    let why = tr!("`{name}` is a list of peers; a chat has one peer", name);
    (why, tr!("`udpchatctl send {name} TEXT` sends to each member; `udpchatctl peers` shows them", name))
}

fn peer_choices(query: &str, peers: &PeerList) -> Vec<Choice> {
    let wanted = query.to_lowercase();
    let matches = |key: &PeerKey, address: &str| {
        key.to_string().to_lowercase().contains(&wanted) || address.to_lowercase().contains(&wanted)
    };
    let listed = peers.iter().filter(|(key, row)| matches(key, &row.address));
    let mut choices: Vec<Choice> = listed
        .map(|(key, row)| {
            let label = wrap::display_line(&key.to_string()).into_owned();
            let address = wrap::display_line(&row.address).into_owned();
            let detail = if address == label { String::new() } else { address };
            Choice { label, detail, action: ChoiceAction::Open(key.clone()) }
        })
        .collect();
    if peers.lists.iter().any(|list| list.name == query) {
        let (label, detail) = (wrap::display_line(query).into_owned(), tr!("a list of peers").to_owned());
        choices.insert(0, Choice { label, detail, action: ChoiceAction::RefuseList(query.to_owned()) });
    }
    let typed = peers.find(query);
    // A part of a listed name is hardly also a host.
    let may_be_new = choices.is_empty() || query.contains(['.', ':']);
    // An interface may be written in another way than it is listed.
    let is_shown = choices.iter().any(|choice| choice.action == ChoiceAction::Open(typed.clone()));
    if !query.is_empty() && may_be_new && !is_shown {
        let label = wrap::display_line(&typed.to_string()).into_owned();
        let detail = if peers.get(&typed).is_some() { String::new() } else { new_peer(&typed, peers) };
        choices.push(Choice { label, detail, action: ChoiceAction::Open(typed.clone()) });
    }
    // It may be the beginning of an address that is listed.
    if matches!(typed, PeerKey::Host(_)) && peers.get(&typed).is_none() && begins_address(query) {
        return choices;
    }
    // What is typed exactly comes before what only contains it.
    let exact = ChoiceAction::Open(typed);
    if let Some(at) = choices.iter().position(|choice| choice.action == exact) {
        choices[..=at].rotate_right(1);
    }
    choices
}

/// Returns whether a text may be the beginning of an IPv4 or IPv6 address, with or without a port, and not a host name.
fn begins_address(text: &str) -> bool {
    let before_zone = text.split('%').next().unwrap_or_default();
    let is_ip_v4 = text.chars().all(|sign| sign.is_ascii_digit() || ".:".contains(sign));
    let is_ip_v6 = before_zone.contains(':')
        && before_zone.chars().all(|sign| sign.is_ascii_hexdigit() || "[]:.".contains(sign));
    is_ip_v4 || is_ip_v6
}

/// Describes a typed peer that is not listed: one port of a host that has a name, or a new one.
fn new_peer(typed: &PeerKey, peers: &PeerList) -> String {
    let owner = match typed {
        PeerKey::Address(address) => peers.owner(*address),
        PeerKey::Named(_) | PeerKey::Host(_) => None,
    };
    match owner {
        Some(name) => tr!("only this port of {name}", name = wrap::display_line(name)),
        None => tr!("new peer").to_owned(),
    }
}

fn encoding_choices(query: &str, open: Option<&PeerRow>) -> Vec<Choice> {
    let choice = |encoding: &str| Choice {
        label: encoding.to_owned(),
        detail: String::new(),
        action: ChoiceAction::Encode(Some(encoding.to_owned())),
    };
    let mut choices = Vec::new();
    if query.is_empty() {
        let encoding = open.and_then(|row| row.encoding.as_ref());
        let detail = encoding.map(|(encoding, _)| wrap::display_line(encoding).into_owned());
        let label = tr!("the peer's encoding").to_owned();
        choices.push(Choice {
            label,
            detail: detail.unwrap_or_default(),
            action: ChoiceAction::Encode(None),
        });
    }
    let wanted = query.to_lowercase();
    choices.extend(COMMON.iter().filter(|encoding| encoding.contains(&wanted)).map(|name| choice(name)));
    if let Ok(encoding) = query.parse::<Encoding>() {
        let name = encoding.to_string();
        if choices.iter().all(|choice| choice.label != name) {
            choices.push(choice(&name));
        }
    }
    choices
}

fn reading_choices(query: &str, encoding: Option<&str>) -> Vec<Choice> {
    let (read, only_send) = match encoding {
        Some(encoding) => {
            (tr!("read them in {encoding}, too", encoding), tr!("{encoding} is for sending only", encoding))
        }
        None => (tr!("read them as detected").to_owned(), String::new()),
    };
    // What was asked for is done: the first choice changes nothing more.
    let choices = [
        Choice {
            label: tr!("leave them as they are").to_owned(),
            detail: only_send,
            action: ChoiceAction::Leave,
        },
        Choice {
            label: read,
            detail: tr!("also those that are here").to_owned(),
            action: ChoiceAction::Read(encoding.map(str::to_owned)),
        },
    ];
    choices.into_iter().filter(|choice| choice.label.contains(&query.to_lowercase())).collect()
}
