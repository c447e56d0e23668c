//! What a daemon that receives a message knows besides its bytes.

use udpchat_config::Encoding;
use udpchat_text::Knowledge;

use super::speaker::Speaker;

#[derive(Clone, Copy)]
pub(crate) enum Setting {
    /// `text.fallback` is `gb18030`.
    Default,
    /// `text.fallback` is the encoding of the peer.
    OwnFallback,
    /// The encoding of the peer is configured for it.
    Configured,
}

impl Setting {
    pub(crate) const ALL: [Self; 3] = [Self::Default, Self::OwnFallback, Self::Configured];

    pub(crate) fn fallback(self, speaker: &Speaker) -> Encoding {
        match self {
            Self::OwnFallback => speaker.configured,
            Self::Default | Self::Configured => Encoding::GB18030,
        }
    }

    /// Returns what is known when the first message of a peer comes.
    pub(crate) fn knowledge(self, speaker: &Speaker) -> Knowledge {
        let configured = matches!(self, Self::Configured).then_some(speaker.configured);
        Knowledge { configured, ..Knowledge::none(self.fallback(speaker)) }
    }
}

/// Returns the encodings that people configure as a fallback.
pub(crate) fn fallbacks() -> Vec<Encoding> {
    let names = [
        "gb18030",
        "gbk",
        "big5",
        "shift_jis",
        "euc-jp",
        "euc-kr",
        "windows-1251",
        "koi8-r",
        "windows-1252",
        "windows-874",
        "utf-8",
        "utf-16le",
    ];
    names.iter().map(|name| name.parse().expect("a known encoding")).collect()
}
