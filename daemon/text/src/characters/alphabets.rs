//! Letters of alphabets, and what makes them a word.

use std::sync::LazyLock;

use crate::cost::HalfBits;

/// A letter after one of another script, an upper-case one after a lower-case one: no word.
const NO_WORD: HalfBits = 16;

/// A word without a vowel.
const NO_VOWEL: HalfBits = 20;

/// A second accented letter at once.
const ADJACENT_ACCENTS: HalfBits = 8;

/// Letters that are hardly written: archaic ones, phonetic ones, those of few languages.
const RARE: u8 = 34;

/// The costs of а to я: frequencies of letters in Russian, in half bits.
const RUSSIAN: [u8; 32] = [
    7, 12, 9, 12, 10, 7, 13, 12, 8, 13, 10, 9, 10, 8, 6, 10, 9, 8, 8, 11, 17, 13, 15, 12, 14, 16, 20, 11, 12,
    16, 15, 11,
];

/// Vowels of the scripts whose words all have one.
const VOWELS: &str = "аеёиоуыэюяіїєαεηιουωάέήίόύώ";

/// A script that is written with spaces between words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Latin,
    Cyrillic,
    Greek,
    Other,
    Thai,
}

/// What is known of a letter of an alphabet.
#[derive(Clone, Copy, Debug)]
struct Letter {
    cost: u8,
    script: Script,
    is_upper: bool,
    is_lower: bool,
    is_vowel: bool,
    /// Whether it stands above or below another letter, and so never first.
    is_mark: bool,
}

/// All alphabets are below this character.
const END: usize = 0x1f00;

static LETTERS: LazyLock<Vec<Option<Letter>>> =
    LazyLock::new(|| (0..END as u32).map(|code| Letter::of(char::from_u32(code)?)).collect());

impl Letter {
    fn of(character: char) -> Option<Self> {
        let script = script(character)?;
        let lower = character.to_lowercase().next().unwrap_or(character);
        let case = if lower == character { 0 } else { 4 };
        Some(Self {
            cost: case + lower_case(lower),
            script,
            is_upper: character.is_uppercase(),
            is_lower: character.is_lowercase(),
            is_vowel: VOWELS.contains(lower),
            is_mark: matches!(character, '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}'),
        })
    }
}

fn find(character: char) -> Option<Letter> {
    *LETTERS.get(character as usize)?
}

/// Returns the cost of a letter outside ASCII; none if it is no letter of an alphabet.
pub(super) fn letter(character: char) -> Option<HalfBits> {
    find(character).map(|letter| HalfBits::from(letter.cost))
}

fn script(character: char) -> Option<Script> {
    match character {
        'a'..='z' | 'A'..='Z' => Some(Script::Latin),
        '×' | '÷' | '،' | '؛' | '؟' => None,
        '\u{c0}'..='\u{2af}' | '\u{1e00}'..='\u{1eff}' => Some(Script::Latin),
        '\u{370}'..='\u{3ff}' => Some(Script::Greek),
        '\u{400}'..='\u{52f}' => Some(Script::Cyrillic),
        '\u{e00}'..='\u{e7f}' => Some(Script::Thai),
        '\u{2b0}'..='\u{36f}' | '\u{530}'..='\u{8ff}' => Some(Script::Other),
        _ => None,
    }
}

fn lower_case(letter: char) -> u8 {
    match letter {
        'а'..='я' => RUSSIAN[letter as usize - 'а' as usize],
        'і' => 12,
        'ё' | 'ї' | 'є' => 15,
        'ў' | 'ј' | 'љ' | 'њ' | 'ћ' | 'ђ' | 'џ' | 'ґ' => 18,
        'é' => 11,
        'á' | 'è' | 'à' | 'í' | 'ó' | 'ä' | 'ö' | 'ü' | 'ß' | 'å' | 'ø' | 'ã' => 13,
        'ç' | 'ê' | 'ô' | 'î' | 'â' | 'ë' | 'ú' | 'ñ' | 'æ' | 'õ' | 'ý' | 'ù' | 'û' | 'ï' | 'ò' | 'ì' => {
            15
        }
        '\u{c0}'..='\u{ff}' => 22,
        'ĸ' | 'ŀ' | 'ŉ' | 'ſ' => RARE,
        // Central European, Baltic, Turkish and Vietnamese letters.
        '\u{100}'..='\u{17f}' | 'ơ' | 'ư' | 'ș' | 'ț' | '\u{1ea0}'..='\u{1ef9}' => 16,
        'α' | 'ε' | 'ι' | 'ο' | 'τ' | 'σ' | 'ν' | 'η' => 8,
        '\u{3ac}'..='\u{3ce}' => 11,
        'א'..='ת' => 10,
        'ا' | 'ل' | 'ي' | 'م' | 'و' | 'ن' | 'ر' | 'ت' => 8,
        '\u{621}'..='\u{64a}' => 12,
        'پ' | 'چ' | 'ژ' | 'گ' | 'ک' | 'ی' | '\u{660}'..='\u{669}' | '\u{64b}'..='\u{652}' => 16,
        'า' | 'น' | 'ร' | 'อ' | 'ก' | 'เ' | 'ง' | '่' | '้' | 'ม' | 'ย' | 'ล' | 'ว' | 'ด' | 'ท' | 'ส' | 'ต'
        | 'ั' | 'ี' => 8,
        'ป' | 'บ' | 'ค' | 'ิ' | 'ห' | 'ะ' | 'แ' | 'ไ' | '์' | 'พ' | 'จ' | 'ช' | 'ข' | 'ใ' | 'โ' | 'ุ' | 'ู'
        | 'ื' | 'ำ' => 10,
        'ถ' | 'ณ' | 'ผ' | 'ศ' | 'ธ' | 'ซ' | 'ญ' | 'ษ' | 'ฟ' | '็' | 'ึ' | 'ภ' | 'ๆ' | '๐'..='๙' => {
            14
        }
        '\u{e01}'..='\u{e5b}' => 20,
        'ա'..='և' => 20,
        // Letters of transliterations.
        '\u{1e00}'..='\u{1e9f}' => 50,
        _ => RARE,
    }
}

/// The state of the current word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Word {
    script: Option<Script>,
    letters: u32,
    has_vowel: bool,
    /// Whether the last letters were of upper case: none, one, more.
    uppers: u32,
    last_is_lower: bool,
    last_is_accented: bool,
}

impl Word {
    /// Takes the next character; returns what it costs that it does not fit the ones before.
    pub(super) fn push(&mut self, character: char) -> HalfBits {
        let Some(letter) = find(character) else { return self.end() };
        let Letter { script, is_upper: upper, is_lower: lower, .. } = letter;
        let accented = !character.is_ascii();
        let mut cost = 0;
        if self.script.is_some_and(|before| before != script) {
            cost += self.end() + NO_WORD;
        }
        if letter.is_mark && self.letters == 0 {
            cost += NO_WORD;
        }
        if accented || self.last_is_accented {
            if upper && self.last_is_lower {
                cost += NO_WORD;
            } else if lower && self.uppers > 1 {
                cost += NO_WORD / 2;
            }
        }
        if script == Script::Latin && accented && self.last_is_accented {
            cost += ADJACENT_ACCENTS;
        }
        self.script = Some(script);
        self.letters += 1;
        self.has_vowel |= letter.is_vowel;
        self.uppers = if upper { self.uppers + 1 } else { 0 };
        self.last_is_lower = lower;
        self.last_is_accented = accented;
        cost
    }

    /// Ends the word; returns what it costs that it is none.
    pub(super) fn end(&mut self) -> HalfBits {
        let word = std::mem::take(self);
        let has_vowels = matches!(word.script, Some(Script::Cyrillic | Script::Greek));
        if has_vowels && word.letters > 1 && !word.has_vowel { NO_VOWEL } else { 0 }
    }
}
