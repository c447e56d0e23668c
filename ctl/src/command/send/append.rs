//! `--append`: the checksum that is added to a message.

use std::str::FromStr;

use clap_complete::CompletionCandidate;
use crc::{CRC_8_SMBUS, CRC_16_IBM_3740, CRC_16_MODBUS, CRC_16_XMODEM, CRC_32_ISO_HDLC, Crc, NoTable, Table};
use udpchat_locale::tr;

use crate::error::CtlError;

/// The algorithms with their names.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("sum8", Algorithm::Sum8),
    ("xor8", Algorithm::Xor8),
    ("lrc", Algorithm::Lrc),
    ("crc8", Algorithm::Crc8),
    ("crc16-modbus", Algorithm::Crc16Modbus),
    ("crc16-ccitt", Algorithm::Crc16Ccitt),
    ("crc16-xmodem", Algorithm::Crc16Xmodem),
    ("crc32", Algorithm::Crc32),
    ("nmea", Algorithm::Nmea),
];

/// An algorithm. The names of CRCs are those of the [catalogue of parametrised CRC
/// algorithms](https://reveng.sourceforge.io/crc-catalogue/all.htm).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    /// The sum of the bytes, modulo 256.
    Sum8,
    /// The exclusive or of the bytes.
    Xor8,
    /// The two's complement of the sum (Modbus ASCII).
    Lrc,
    /// CRC-8/SMBUS.
    Crc8,
    /// CRC-16/MODBUS.
    Crc16Modbus,
    /// CRC-16/IBM-3740, known as CCITT-FALSE.
    Crc16Ccitt,
    /// CRC-16/XMODEM.
    Crc16Xmodem,
    /// CRC-32/ISO-HDLC, of Ethernet and zip.
    Crc32,
    /// The exclusive or of the characters after `$`, as `*hh` (NMEA 0183).
    Nmea,
}

/// The order of the bytes of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

/// What is added to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Append {
    algorithm: Algorithm,
    order: Order,
}

impl Append {
    /// Offers the names of the checksums to the shell.
    pub(super) fn candidates() -> Vec<CompletionCandidate> {
        ALGORITHMS.iter().map(|(name, _)| CompletionCandidate::new(name)).collect()
    }

    /// Returns whether the checksum is bytes, not text.
    pub(super) fn is_binary(self) -> bool {
        self.algorithm != Algorithm::Nmea
    }

    /// Checks that a message can have the checksum.
    ///
    /// # Errors
    /// That of NMEA is for a sentence, and this is none, or has one already.
    pub(super) fn check(self, message: &[u8]) -> Result<(), CtlError> {
        if self.algorithm != Algorithm::Nmea || message.is_empty() {
            return Ok(());
        }
        if !message.starts_with(b"$") && !message.starts_with(b"!") {
            let error =
                CtlError::usage(tr!("`--append nmea` is for a sentence, which begins with `$` or `!`"));
            return Err(error.hint(tr!(
                "in double quotes a shell replaces `$NAME`: write the sentence in single quotes, for example '$PMTK220,1000'"
            )));
        }
        if message.contains(&b'*') {
            let error = CtlError::usage(tr!("the sentence has a checksum already"));
            return Err(error.hint(tr!("leave out `*` and what is behind it, or --append")));
        }
        Ok(())
    }

    /// Adds the checksum of the message to it. That of NMEA stands before the line end.
    pub(crate) fn to(self, message: &mut Vec<u8>) {
        match self.algorithm {
            Algorithm::Sum8 => message.push(sum(message)),
            Algorithm::Xor8 => message.push(xor(message)),
            Algorithm::Lrc => message.push(sum(message).wrapping_neg()),
            Algorithm::Crc8 => message.push(Crc::<u8, NoTable>::new(&CRC_8_SMBUS).checksum(message)),
            Algorithm::Crc16Modbus => self.add16(&CRC_16_MODBUS, message),
            Algorithm::Crc16Ccitt => self.add16(&CRC_16_IBM_3740, message),
            Algorithm::Crc16Xmodem => self.add16(&CRC_16_XMODEM, message),
            Algorithm::Crc32 => {
                let sum = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC).checksum(message);
                self.add(&sum.to_be_bytes(), message);
            }
            Algorithm::Nmea => {
                let end = message.trim_ascii_end().len();
                let start = usize::from(message.first().is_some_and(|first| matches!(first, b'$' | b'!')));
                let sum = message.get(start..end).map_or(0, xor);
                message.splice(end..end, format!("*{sum:02X}").into_bytes());
            }
        }
    }

    fn add16(self, algorithm: &'static crc::Algorithm<u16>, message: &mut Vec<u8>) {
        let sum = Crc::<u16, NoTable>::new(algorithm).checksum(message);
        self.add(&sum.to_be_bytes(), message);
    }

    /// Adds a sum, whose most significant byte is the first one.
    fn add(self, sum: &[u8], message: &mut Vec<u8>) {
        match self.order {
            Order::Big => message.extend(sum),
            Order::Little => message.extend(sum.iter().rev()),
        }
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

impl FromStr for Append {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = &*text.to_ascii_lowercase();
        let (name, order) = match text.split_once(':') {
            Some((name, "be")) => (name, Some(Order::Big)),
            Some((name, "le")) => (name, Some(Order::Little)),
            _ => (text, None),
        };
        let found = ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm);
        let Some(algorithm) = found else {
            let names = ALGORITHMS.map(|(name, _)| name).join(tr!(", "));
            return Err(tr!("expected one of {names}; `:be` or `:le` may follow", names));
        };
        // The order that the protocols with these checksums use.
        let usual = match algorithm {
            Algorithm::Crc16Modbus | Algorithm::Crc32 => Order::Little,
            _ => Order::Big,
        };
        Ok(Self { algorithm, order: order.unwrap_or(usual) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appended(what: &str, message: &[u8]) -> Vec<u8> {
        let mut bytes = message.to_vec();
        what.parse::<Append>().unwrap().to(&mut bytes);
        assert!(bytes.starts_with(message), "{what}");
        bytes.split_off(message.len())
    }

    #[test]
    fn the_checksum_of_nmea_is_for_a_sentence_without_one() {
        let check = |append: &str, message: &[u8]| append.parse::<Append>().unwrap().check(message);
        for message in [&b",1000"[..], b"PMTK220,1000", b"$PMTK220,1000*1F"] {
            assert!(check("nmea", message).is_err() && check("sum8", message).is_ok());
        }
        assert!(check("nmea", b"$PMTK220,1000\r\n").is_ok() && check("nmea", b"!AIVDM,1").is_ok());
    }

    #[test]
    fn checksums_have_the_check_values_of_the_catalogue() {
        for (what, expected) in [
            ("crc8", &[0xf4][..]),
            ("crc16-modbus:be", &[0x4b, 0x37]),
            ("crc16-modbus", &[0x37, 0x4b]),
            ("crc16-ccitt", &[0x29, 0xb1]),
            ("crc16-ccitt:le", &[0xb1, 0x29]),
            ("crc16-xmodem", &[0x31, 0xc3]),
            ("crc32:be", &[0xcb, 0xf4, 0x39, 0x26]),
            ("crc32", &[0x26, 0x39, 0xf4, 0xcb]),
            // '1' to '9' have the sum 477.
            ("sum8", &[0xdd]),
            ("lrc", &[0x23]),
            ("xor8", &[0x31]),
            ("nmea", b"*31"),
            ("CRC16-Modbus:BE", &[0x4b, 0x37]),
        ] {
            assert_eq!(appended(what, b"123456789"), expected, "{what}");
        }
    }

    #[test]
    fn known_frames_have_their_checksums() {
        assert_eq!(appended("crc16-modbus", b"\x01\x03\x00\x0a\x00\x02"), [0xe4, 0x09]);
        let gga = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,";
        assert_eq!(appended("nmea", gga), b"*47");
        let mut line = [&gga[..], b"\r\n"].concat();
        "nmea".parse::<Append>().unwrap().to(&mut line);
        assert!(line.ends_with(b"M,,*47\r\n"), "{}", line.escape_ascii());
        for what in ALGORITHMS.map(|(name, _)| name) {
            assert!(!appended(what, b"").is_empty(), "{what}");
        }
        for wrong in ["", "crc", "crc16", "crc8:xe", ":be"] {
            assert!(wrong.parse::<Append>().is_err(), "{wrong}");
        }
    }
}
