//! How bytes become text and text becomes bytes: encodings, their repair, and characters that are unsafe to show.

mod bytes;
mod encodings;
mod every_character;
mod evidence;
mod recode;
mod safe_text;
