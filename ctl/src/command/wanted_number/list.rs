//! Several numbers, each of which is a curve or a column.

use udpchat_api::safe;
use udpchat_locale::tr;

use super::WantedNumber;
use crate::error::{CtlError, Result};

/// What stands between the names of numbers; Chinese keyboards make the second and the third.
const SEPARATORS: [char; 3] = [',', '，', '、'];

/// Returns the names in arguments that each may have several, without the blanks around them.
pub(in crate::command) fn names(arguments: &[String]) -> impl Iterator<Item = &str> {
    arguments.iter().flat_map(|names| names.split(SEPARATORS)).map(str::trim)
}

/// Returns the numbers of these names, each once.
///
/// # Errors
/// A name is a place that cannot be read, or two different numbers have the same heading.
pub(in crate::command) fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<WantedNumber>> {
    let mut numbers: Vec<WantedNumber> = Vec::new();
    for name in names {
        let number: WantedNumber = name.parse().map_err(CtlError::usage)?;
        match numbers.iter().find(|known| known.heading() == number.heading()) {
            None => numbers.push(number),
            Some(known) if *known == number => {}
            Some(_) => return Err(same_name(number.heading())),
        }
    }
    Ok(numbers)
}

/// Returns the error of two different numbers that would be one curve or column.
fn same_name(name: &str) -> CtlError {
    let name = safe::one_line(name);
    let hint = tr!("give the place another name in front, for example {name}2=@6:i16", name);
    CtlError::usage(tr!("two numbers have the name `{name}`", name)).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_a_name_of_its_own() {
        let numbers = |text: &str| distinct(names(&[text.to_owned()]));
        for (text, count) in
            [("temp,hum", 2), ("temp，temp、 hum", 2), ("@0:u8,@0:u8", 1), ("t=@0:u8,u=@0:u8", 2)]
        {
            assert_eq!(numbers(text).unwrap().len(), count, "{text}");
        }
        for text in ["temp=@5:i16,temp", "t=@5:i16,t=@6:i16"] {
            let CtlError::Failed(failure) = numbers(text).unwrap_err() else { panic!("{text}") };
            assert!(failure.message.starts_with("two numbers have the name `t"), "{}", failure.message);
        }
    }
}
