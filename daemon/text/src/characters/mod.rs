//! A model of text: how probable each character is in the writing of an encoding.
//!
//! A cost is the negative logarithm of a probability, in half bits, so costs of independent characters add up, and the difference
//! of two readings' costs is the logarithm of a likelihood ratio. The model is coarse on purpose: a character costs what its class
//! costs (a frequent one, one of the first level of the standard, a letter, a symbol), and [`alphabets`] adds what makes letters
//! no words: case in the middle of a word, no vowel, two scripts in one word.
//!
//! The costs are estimates, set by hand and adjusted with half of the texts of the benchmark `encodings`; its other half shows
//! whether they hold for other texts.
//!
//! Belongs here: tables and costs of characters. Does not belong here: bytes, encodings, decisions.

mod alphabets;
mod east_asian;

use self::alphabets::{Word, letter};
use self::east_asian::{HAN, HANGUL, Han, Tier, han, hangul};
use crate::cost::HalfBits;

/// A byte outside ASCII in text of which nothing is known: one of about 90 letters.
pub(crate) const ANY_BYTE: HalfBits = 13;

/// A control that text does not hold.
const CONTROL: HalfBits = 36;

/// An unassigned or private character.
const NO_TEXT: HalfBits = 52;

/// One of some 2,500 other symbols: of mathematics and technology, and compressed words.
const RARE_SYMBOL: HalfBits = 36;

/// The same character again: rules of frames, ellipses, doubled syllables.
const REPEATED_SYMBOL: HalfBits = 4;
const REPEATED_CHARACTER: HalfBits = 14;

/// What is written in an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Simplified Chinese: GBK, GB18030.
    Simplified,
    /// Traditional Chinese: Big5.
    Traditional,
    /// Shift_JIS, EUC-JP, ISO-2022-JP.
    Japanese,
    /// EUC-KR.
    Korean,
    /// One alphabet: the encodings of one byte a character.
    Alphabet,
    /// Everything: UTF-8, UTF-16.
    Universal,
}

/// Adds up the cost of a text, a character at a time.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    writing: Writing,
    previous: Option<char>,
    word: Word,
    /// The cost so far.
    pub(crate) cost: HalfBits,
    /// How many characters were outside ASCII, and their cost.
    pub(crate) foreign: u32,
    pub(crate) foreign_cost: HalfBits,
    /// How many of them are frequent ones of an East Asian writing.
    pub(crate) frequent: u32,
}

impl Text {
    pub(crate) fn new(writing: Writing) -> Self {
        Self {
            writing,
            previous: None,
            word: Word::default(),
            cost: 0,
            foreign: 0,
            foreign_cost: 0,
            frequent: 0,
        }
    }

    /// Adds the next character.
    pub(crate) fn push(&mut self, character: char) {
        let class = self.class(character);
        let own = match class {
            Class::Symbol(cost) if self.previous == Some(character) => cost.min(REPEATED_SYMBOL),
            Class::Character(cost) if self.previous == Some(character) => cost.min(REPEATED_CHARACTER),
            Class::Ascii(cost) | Class::Symbol(cost) | Class::Character(cost) | Class::Letter(cost) => cost,
        };
        let own = own + self.word.push(character) + self.change_of_kana(character);
        self.cost += own;
        if !character.is_ascii() {
            self.foreign += 1;
            self.foreign_cost += own;
        }
        self.previous = Some(character);
    }

    /// Ends a word where bytes follow that are no character.
    pub(crate) fn interrupt(&mut self) {
        let cost = self.word.end();
        self.cost += cost;
        self.foreign_cost += cost;
        self.previous = None;
    }

    fn class(&mut self, character: char) -> Class {
        if character.is_ascii() {
            return Class::Ascii(ascii(character as u8));
        }
        if HAN.contains(&character) {
            let (tier, cost) = self.han(han(character));
            self.frequent += u32::from(tier >= Tier::Common);
            return Class::Character(cost);
        }
        if HANGUL.contains(&character) {
            let tier = hangul(character);
            self.frequent += u32::from(tier >= Tier::Common);
            return Class::Character(self.hangul(tier));
        }
        if let '\u{3041}'..='\u{30ff}' = character {
            let cost = self.kana(character);
            self.frequent += u32::from(cost <= KANA);
            return Class::Character(cost);
        }
        if let Some(cost) = letter(character) {
            return Class::Letter(match self.writing {
                Writing::Alphabet => cost,
                Writing::Universal => cost + UNIVERSAL,
                _ => cost.max(FOREIGN_LETTER),
            });
        }
        Class::Symbol(self.symbol(character))
    }

    fn han(&self, han: Han) -> (Tier, HalfBits) {
        let simplified = [50, 38, 30, 24, 16][han.simplified as usize];
        let traditional = [50, 41, 31, 24, 16][han.traditional as usize];
        let japanese = [50, 41, 31, 22, 19][han.japanese as usize];
        match self.writing {
            Writing::Simplified => (han.simplified, simplified),
            Writing::Traditional => (han.traditional, traditional),
            Writing::Japanese => (han.japanese, japanese),
            Writing::Korean => (Tier::None, 40),
            Writing::Alphabet => (Tier::None, NO_TEXT),
            Writing::Universal => {
                let tier = han.simplified.max(han.traditional).max(han.japanese);
                (tier, simplified.min(traditional).min(japanese) + UNIVERSAL)
            }
        }
    }

    fn hangul(&self, tier: Tier) -> HalfBits {
        let korean = [46, 40, 30, 20, 15][tier as usize];
        match self.writing {
            Writing::Korean => korean,
            Writing::Universal => korean + UNIVERSAL,
            _ => NO_TEXT,
        }
    }

    fn kana(&self, kana: char) -> HalfBits {
        let japanese = match kana {
            // Small vowels, archaic kana, marks of repetition.
            'ぁ'
            | 'ぃ'
            | 'ぅ'
            | 'ぉ'
            | 'ゎ'
            | 'ゐ'
            | 'ゑ'
            | 'ゔ'
            | 'ヮ'
            | 'ヰ'
            | 'ヱ'
            | 'ヵ'
            | 'ヶ'
            | '゛'..='ゟ' => 24,
            _ => KANA,
        };
        match self.writing {
            Writing::Japanese => japanese,
            Writing::Universal => japanese + UNIVERSAL,
            _ => FOREIGN_KANA,
        }
    }

    /// Returns what it costs that hiragana and katakana alternate: each is written in runs.
    fn change_of_kana(&self, character: char) -> HalfBits {
        let is_hiragana = |character: char| ('\u{3041}'..='\u{309f}').contains(&character);
        let is_katakana = |character: char| ('\u{30a1}'..='\u{30fa}').contains(&character);
        let changes = |previous: char| {
            is_hiragana(previous) && is_katakana(character) || is_katakana(previous) && is_hiragana(character)
        };
        if self.previous.is_some_and(changes) { CHANGE_OF_KANA } else { 0 }
    }

    /// Returns the cost of what is no letter of any writing: punctuation, forms, symbols, pictures.
    fn symbol(&self, symbol: char) -> HalfBits {
        let is_east_asian = !matches!(self.writing, Writing::Alphabet);
        match symbol {
            '，' | '。' | '、' | '：' | '；' | '！' | '？' | '（' | '）' | '\u{3000}' | '「' | '」'
            | '《' | '》' | '・' | '『' | '』' | '【' | '】' | '～' | '〜'
                if is_east_asian =>
            {
                15
            }
            '\u{a0}' | '°' | '·' | '«' | '»' | '§' | '©' | '®' | '±' | 'µ' | '²' | '³' | '½' | '¿' | '¡'
            | '£' | '€' | '™' | '№' | '–' | '—' | '‘' | '’' | '“' | '”' | '„' | '…' | '•' => {
                16
            }
            '℃' | '％' | '￥' | '→' | '①'..='⑳' | '※' | '●' | '■' | '★' => 20,
            '\u{fe0f}' | '\u{200d}' | '\u{200b}' => 10,
            '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' | '！'..='～' | '￠'..='￦' => 22,
            // Half-width kana are single bytes in Shift_JIS.
            '｡'..='ﾟ' if self.writing == Writing::Japanese => ANY_BYTE,
            '｡'..='ﾟ' => 26,
            '،' | '؛' | '؟' => 18,
            '\u{80}'..='\u{9f}' => 40,
            '\u{a1}'..='\u{bf}' | '×' | '÷' => 21,
            // Punctuation, arrows, frames, shapes, and what programs mark lines with.
            '\u{2010}'..='\u{203d}' | '\u{2190}'..='\u{2199}' | '\u{2500}'..='\u{266f}' => 24,
            '⌚'
            | '⌛'
            | '⏩'..='⏳'
            | '⚠'
            | '⚡'
            | '✅'
            | '✓'
            | '✔'
            | '✕'
            | '✗'
            | '✘'
            | '✨'
            | '❌'
            | '❗'
            | '❤'
            | '➜' => 24,
            '\u{3001}'..='\u{303f}' | '\u{3105}'..='\u{312f}' | '㈱' | '㎎' | '㎏' | '㎜'..='㎡' => 24,
            '\u{2010}'..='\u{27bf}' | '\u{3200}'..='\u{33ff}' => RARE_SYMBOL,
            '\u{1f000}'..='\u{1faff}' => 22,
            // Chinese characters beyond those of the tables.
            '\u{20000}'..='\u{3ffff}' => 60,
            '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fff0}'.. => NO_TEXT,
            // Other alphabets of three bytes in UTF-8; in East Asian sets they are missing.
            '\u{900}'..='\u{97f}' | '\u{10a0}'..='\u{10ff}' if self.writing == Writing::Universal => 18,
            '\u{980}'..='\u{d7f}' | '\u{1200}'..='\u{137f}' | '\u{1780}'..='\u{17ff}'
                if self.writing == Writing::Universal =>
            {
                30
            }
            _ => 44,
        }
    }
}

/// What a universal encoding adds: the writing is not known from the encoding.
const UNIVERSAL: HalfBits = 2;
const KANA: HalfBits = 13;
const CHANGE_OF_KANA: HalfBits = 6;
const FOREIGN_KANA: HalfBits = 30;
const FOREIGN_LETTER: HalfBits = 26;

/// The class of a character with its cost.
enum Class {
    Ascii(HalfBits),
    /// Part of words, and hardly repeated.
    Character(HalfBits),
    Letter(HalfBits),
    Symbol(HalfBits),
}

/// Returns the cost of a character of ASCII.
pub(crate) fn ascii(byte: u8) -> HalfBits {
    match byte {
        b'@' | b'\\' | b'^' | b'`' | b'|' | b'~' | b'$' | b'&' => 18,
        b' '..=b'~' | b'\t' | b'\n' | b'\r' | 0x0c => 10,
        _ => CONTROL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(writing: Writing, text: &str) -> HalfBits {
        let mut sum = Text::new(writing);
        text.chars().for_each(|character| sum.push(character));
        sum.interrupt();
        sum.cost
    }

    #[test]
    fn frequent_characters_cost_less_than_rare_ones() {
        for (writing, frequent, rare) in [
            (Writing::Simplified, "你好", "浣犲"),
            (Writing::Traditional, "你們", "斕疑"),
            (Writing::Japanese, "です", "瓩糎"),
            (Writing::Korean, "안녕", "뷁쉛"),
            (Writing::Alphabet, "Привет", "оПИБЕР"),
            (Writing::Universal, "привет", "ѧһѧһѧһ"),
        ] {
            assert!(cost(writing, frequent) < cost(writing, rare), "{frequent} {rare}");
        }
    }

    #[test]
    fn frames_cost_little_however_long() {
        assert!(cost(Writing::Simplified, &"─".repeat(40)) < 200);
    }
}
