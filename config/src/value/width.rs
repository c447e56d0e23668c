//! Full-width characters and Chinese punctuation, which input methods write in place of the characters of ASCII.

use std::borrow::Cow;

use super::{ValueError, quoted};

/// Refuses an address with a full-width character, such as `192.168.1.5：8080`.
///
/// No address contains one, and no host name in use.
///
/// # Errors
/// There is one; the hint has the address in ASCII.
pub fn check_width(text: &str) -> Result<(), ValueError> {
    let Some(found) = text.chars().find(|character| narrow(*character).is_some()) else { return Ok(()) };
    let narrow = narrowed(text);
    let meant = without_punctuation(&narrow);
    let message = format!("{} contains the full-width character `{found}`", quoted(text));
    Err(match meant.is_empty() {
        true => ValueError::new(message, "write it with the characters of ASCII"),
        false => ValueError::new(message, format!("write {}", quoted(meant))),
    })
}

/// Returns an address without quotes, which the shell knows only in ASCII, and without punctuation at its end: what is proposed
/// must be accepted.
fn without_punctuation(address: &str) -> &str {
    let address = address.trim().trim_matches(['"', '\'']).trim().trim_end_matches([',', '.', ';']);
    match address.strip_suffix(':') {
        // An IPv6 address may end with two colons.
        Some(rest) if !rest.ends_with(':') => rest,
        _ => address,
    }
}

/// Returns a text with full-width characters as those of ASCII, for what has no others: numbers, times, digits.
pub fn narrowed(text: &str) -> Cow<'_, str> {
    match text.chars().any(|character| narrow(character).is_some()) {
        true => text.chars().map(|character| narrow(character).unwrap_or(character)).collect(),
        false => Cow::Borrowed(text),
    }
}

/// Returns the character of ASCII that a full-width one stands for.
fn narrow(character: char) -> Option<char> {
    match character {
        // The block Halfwidth and Fullwidth Forms repeats `!` to `~`.
        '\u{ff01}'..='\u{ff5e}' => u8::try_from(u32::from(character) - 0xff01 + 0x21).ok().map(char::from),
        '。' | '｡' => Some('.'),
        '、' => Some(','),
        '【' => Some('['),
        '】' => Some(']'),
        '“' | '”' => Some('"'),
        '‘' | '’' => Some('\''),
        '\u{3000}' => Some(' '),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ListenAddress, MetricsAddress, Network, PeerAddress};
    use super::*;

    #[test]
    fn a_full_width_character_is_named_with_the_right_spelling() {
        for (text, character, meant) in [
            ("192.168.1.5：8080", '：', "192.168.1.5:8080"),
            ("192。168。1。5", '。', "192.168.1.5"),
            ("192．168．1．5:８０８０", '．', "192.168.1.5:8080"),
            ("［::1］:9", '［', "[::1]:9"),
            ("【::1】：9", '【', "[::1]:9"),
            ("10.0.0.1，10.0.0.2", '，', "10.0.0.1,10.0.0.2"),
            ("fe80::1％eth0", '％', "fe80::1%eth0"),
            ("10.0.0.0／8", '／', "10.0.0.0/8"),
            ("10.0.0.1\u{3000}", '\u{3000}', "10.0.0.1"),
            ("10.0.0.1：", '：', "10.0.0.1"),
            ("10.0.0.1。", '。', "10.0.0.1"),
            ("fe80：：", '：', "fe80::"),
            ("“192.168.1.6”", '“', "192.168.1.6"),
            ("‘10.0.0.1:80’", '‘', "10.0.0.1:80"),
        ] {
            let error = check_width(text).unwrap_err();
            assert!(
                error.to_string().ends_with(&format!("the full-width character `{character}`")),
                "{error}"
            );
            assert_eq!(error.hint(), Some(&*format!("write `{meant}`")));
        }
        for text in ["192.168.1.5:8080", "[fe80::1%eth0]:9", "李雷", "主机.example", "a·b"] {
            assert!(check_width(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn every_kind_of_address_is_checked() {
        let error = check_width("127.0.0.1：80").unwrap_err();
        assert_eq!("127.0.0.1：80".parse::<PeerAddress>().unwrap_err(), error);
        assert_eq!("127.0.0.1：80".parse::<ListenAddress>().unwrap_err(), error);
        assert_eq!("127.0.0.1：80".parse::<MetricsAddress>().unwrap_err(), error);
        assert_eq!("：80".parse::<ListenAddress>().unwrap_err().hint(), Some("write `:80`"));
        assert_eq!("7788：".parse::<ListenAddress>().unwrap_err().hint(), Some("write `7788`"));
        assert!("：".parse::<ListenAddress>().unwrap_err().hint().is_some_and(|hint| hint.contains("ASCII")));
        assert_eq!("10.0.0.15：".parse::<Network>().unwrap_err().hint(), Some("write `10.0.0.15`"));
        assert_eq!("10.0.0.0／8".parse::<Network>().unwrap_err().hint(), Some("write `10.0.0.0/8`"));
    }
}
