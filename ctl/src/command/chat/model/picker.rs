//! A list to choose from, narrowed down by typing: peers, or encodings.

use udpchat_config::Encoding;

use super::peer::Key;
use super::{Model, Overlay};
use crate::command::chat::editor::Editor;
use crate::command::chat::wrap;

/// The encodings that are offered before anything is typed.
const COMMON: [&str; 9] =
    ["utf-8", "gbk", "gb18030", "big5", "shift_jis", "euc-kr", "utf-16le", "windows-1251", "windows-1252"];

/// A list that is on the screen.
#[derive(Debug, Default)]
pub(in crate::command::chat) struct Picker {
    pub(in crate::command::chat) of: Of,
    /// What was typed.
    pub(in crate::command::chat) query: Editor,
    /// The choice that the cursor is on.
    pub(in crate::command::chat) at: usize,
}

/// What a list is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::command::chat) enum Of {
    #[default]
    Peers,
    Encodings,
}

/// A line of a list, safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) struct Choice {
    pub(in crate::command::chat) label: String,
    pub(in crate::command::chat) detail: String,
    means: Means,
}

/// What choosing a line does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Means {
    /// Opens a conversation.
    Open(Key),
    /// Sends in an encoding, or again in what the peer speaks.
    Encode(Option<String>),
}

impl Model {
    /// Opens a list.
    pub(super) fn pick(&mut self, of: Of) {
        if of == Of::Encodings && self.conversation.is_none() {
            self.notice = Some("no conversation is open whose encoding could be chosen".to_owned());
            return;
        }
        self.overlay = Some(Overlay::Picker(Picker { of, ..Picker::default() }));
    }

    /// Returns what a list offers.
    pub(in crate::command::chat) fn choices(&self, picker: &Picker) -> Vec<Choice> {
        let query = picker.query.text().trim();
        match picker.of {
            Of::Peers => self.peer_choices(query),
            Of::Encodings => self.encoding_choices(query),
        }
    }

    fn peer_choices(&self, query: &str) -> Vec<Choice> {
        let wanted = query.to_lowercase();
        let fits = |key: &Key, address: &str| {
            key.to_string().to_lowercase().contains(&wanted) || address.to_lowercase().contains(&wanted)
        };
        let listed = self.roster.iter().filter(|(key, row)| fits(key, &row.address));
        let mut choices: Vec<Choice> = listed
            .map(|(key, row)| {
                let label = wrap::shown_in_line(&key.to_string()).into_owned();
                let address = wrap::shown_in_line(&row.address).into_owned();
                let detail = if address == label { String::new() } else { address };
                Choice { label, detail, means: Means::Open(key.clone()) }
            })
            .collect();
        let meant = self.roster.meant(query);
        // Part of a name that is listed is hardly a host, too.
        let is_whole = choices.is_empty() || query.contains(['.', ':']);
        if !query.is_empty() && is_whole && self.roster.get(&meant).is_none() {
            let label = wrap::shown_in_line(&meant.to_string()).into_owned();
            choices.push(Choice { label, detail: "somebody new".to_owned(), means: Means::Open(meant) });
        }
        choices
    }

    fn encoding_choices(&self, query: &str) -> Vec<Choice> {
        let choice = |encoding: &str| Choice {
            label: encoding.to_owned(),
            detail: String::new(),
            means: Means::Encode(Some(encoding.to_owned())),
        };
        let mut choices = Vec::new();
        if query.is_empty() {
            let speaks = self.open_row().and_then(|row| row.encoding.as_ref());
            let detail = speaks.map(|(encoding, _)| wrap::shown_in_line(encoding).into_owned());
            let label = "what the peer speaks".to_owned();
            choices.push(Choice { label, detail: detail.unwrap_or_default(), means: Means::Encode(None) });
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

    /// Does what the line under the cursor says, and closes the list.
    pub(super) fn choose(&mut self) {
        let Some(Overlay::Picker(picker)) = self.overlay.take() else { return };
        let mut choices = self.choices(&picker);
        if picker.at >= choices.len() {
            self.overlay = Some(Overlay::Picker(picker));
            return;
        }
        match choices.swap_remove(picker.at).means {
            Means::Open(key) => self.open(key),
            Means::Encode(encoding) => {
                if let Some(key) = self.open_key().cloned()
                    && let Some(row) = self.roster.get_mut(&key)
                {
                    row.chosen = encoding;
                }
            }
        }
    }
}
