//! Payloads like those of real programs: lines of logs and readings of sensors, no two alike.
//!
//! They consist of some thousand lines that are generated once, and of a number in each, so that a payload costs its sender
//! little more than a copy.

use encoding_rs::GBK;

use super::random::{Random, mix};

/// How many lines are written.
const LINES: u64 = 4096;

const HEX: &[u8; 16] = b"0123456789abcdef";

const WORDS: [&str; 48] = [
    "accepted",
    "alarm",
    "battery",
    "buffer",
    "channel",
    "checksum",
    "closed",
    "connection",
    "cooling",
    "current",
    "delayed",
    "door",
    "error",
    "fan",
    "firmware",
    "flow",
    "gateway",
    "heating",
    "humidity",
    "idle",
    "input",
    "kernel",
    "latency",
    "level",
    "limit",
    "motor",
    "network",
    "opened",
    "output",
    "packet",
    "paused",
    "pressure",
    "pump",
    "reading",
    "rejected",
    "relay",
    "request",
    "restarted",
    "retry",
    "sensor",
    "session",
    "signal",
    "temperature",
    "timeout",
    "user",
    "valve",
    "voltage",
    "warning",
];
const CHINESE: [&str; 16] = [
    "温度",
    "湿度",
    "压力",
    "正常",
    "报警",
    "连接",
    "断开",
    "重新启动",
    "传感器",
    "电压",
    "电流",
    "水泵",
    "阀门",
    "打开",
    "关闭",
    "你好",
];

/// How long the payloads are.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    /// All the same, in bytes, and all ASCII.
    Fixed(usize),
    /// 40 to 160 bytes; one in ten in Chinese, of those every third in GBK.
    Mixed,
}

/// Generates payloads.
pub(crate) struct Texts {
    lines: Vec<Vec<u8>>,
}

impl Texts {
    pub(crate) fn new(length: Length) -> Self {
        let mut random = Random::new(1);
        let line = |_| match length {
            Length::Fixed(bytes) => ascii(&mut random, bytes),
            Length::Mixed => mixed(&mut random),
        };
        Self { lines: (0..LINES).map(line).collect() }
    }

    /// Writes the payload with this number into a buffer: the number in ten digits, and eight hexadecimal digits that
    /// no other has, before the line.
    pub(crate) fn write(&self, number: u64, buffer: &mut Vec<u8>) {
        let scattered = mix(number);
        buffer.clear();
        buffer.extend_from_slice(&self.lines[(scattered % LINES) as usize]);
        let mut rest = number;
        for digit in buffer.iter_mut().take(10).rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        for (place, digit) in buffer.iter_mut().skip(11).take(8).enumerate() {
            *digit = HEX[(scattered >> (32 + 4 * place)) as usize & 15];
        }
    }
}

/// The place of the number and of the digits.
const HEAD: &str = "0000000000 00000000 ";

fn ascii(random: &mut Random, bytes: usize) -> Vec<u8> {
    let mut line =
        format!("{HEAD}host-{} {}[{}]:", random.below(64), random.one_of(&WORDS), random.below(30_000));
    while line.len() < bytes {
        let word = random.one_of(&WORDS);
        match random.below(4) {
            0 => line += &format!(" {word}={}.{}", random.below(100), random.below(10)),
            _ => line += &format!(" {word}"),
        }
    }
    line.truncate(bytes);
    line.into_bytes()
}

fn mixed(random: &mut Random) -> Vec<u8> {
    if random.below(10) > 0 {
        let bytes = 40 + random.below(121) as usize;
        return ascii(random, bytes);
    }
    let mut line = format!("{HEAD}设备{}", random.below(64));
    for _ in 0..4 + random.below(8) {
        line += *random.one_of(&CHINESE);
    }
    match random.below(3) {
        0 => GBK.encode(&line).0.into_owned(),
        _ => line.into_bytes(),
    }
}
