//! What is made of a text before it is sent: bytes of digits, checksums, line ends, and notices on what may be meant otherwise.

use udpchat_api::EncodingBy;

use crate::command::chat::keys::Action;
use crate::command::chat::test_chat::TestChat;
use crate::command::send::Payload;

#[test]
fn a_checksum_is_appended_to_bytes() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.key(Action::ToggleHex);
    let modbus = [1, 3, 0, 0x0a, 0, 2, 0xe4, 9].to_vec();
    for text in ["01 03 00 0a 00 02 +crc16-modbus", "0103000a0002＋ crc16-modbus:le "] {
        chat.write(text);
        chat.key(Action::Submit);
        assert_eq!(chat.sent.last().unwrap().payload, Payload::Bytes(modbus.clone()));
        chat.key(Action::Up);
        assert_eq!(chat.model.input.text(), text);
        chat.key(Action::Interrupt);
    }
    let sent = chat.sent.len();
    chat.write("01 +crc16");
    chat.key(Action::Submit);
    assert!(chat.model.notice.as_deref().is_some_and(|why| why.contains("sum8, xor8, lrc")));
    chat.key(Action::Interrupt);
    // There is nothing to append it to.
    chat.write("+sum8");
    chat.key(Action::Submit);
    assert_eq!((chat.sent.len(), chat.model.input.text()), (sent, "+sum8"));
}

#[test]
fn digits_to_a_hex_peer_take_a_checksum() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.bobs_encoding = ("hex", EncodingBy::Configured);
    chat.connect();
    let mut sent = |text: &str| {
        chat.write(text);
        chat.key(Action::Submit);
        chat.key(Action::Interrupt);
        chat.sent.last().unwrap().payload.clone()
    };
    let modbus = Payload::Bytes([1, 3, 0, 0x0a, 0, 2, 0xe4, 9].to_vec());
    assert_eq!(sent("0103,000a 0x00 02 +crc16-modbus"), modbus);
    assert_eq!(sent("aa 55"), Payload::Bytes(vec![0xaa, 0x55]));
    // A text that is none is not taken away.
    chat.write("aa 5");
    chat.key(Action::Submit);
    assert!(chat.model.notice.as_deref().is_some_and(|why| why.contains("odd number of hex digits")));
    assert_eq!((chat.sent.len(), chat.model.input.text()), (2, "aa 5"));
    chat.key(Action::Interrupt);
    chat.key(Action::ChangeLineEnd);
    chat.write("41 +sum8");
    chat.key(Action::Submit);
    assert_eq!(chat.sent[2].payload, Payload::Bytes(b"AA\r\n".to_vec()));
}

#[test]
fn digits_in_a_chosen_encoding_keep_it() {
    let mut chat = TestChat::with_peer(Some("张三"));
    chat.connect();
    chat.key(Action::ChooseEncoding);
    chat.write("hex");
    chat.key(Action::Submit);
    chat.key(Action::Cancel);
    for (text, expected) in [("aa 55", "aa 55"), ("aa55 +sum8", "aa 55 ff")] {
        chat.write(text);
        chat.key(Action::Submit);
        let sent = chat.sent.last().unwrap();
        // The peer's own encoding is gbk; bytes would be stored and shown in it.
        assert_eq!(
            (&sent.payload, sent.encoding.as_deref()),
            (&Payload::Text(expected.to_owned()), Some("hex"))
        );
    }
}

#[test]
fn an_escape_that_is_sent_as_text_has_a_notice() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    let mut notice = |text: &str| {
        chat.write(text);
        chat.key(Action::Submit);
        chat.model.notice.clone().unwrap_or_default()
    };
    assert!(notice(r"AT\r\n").starts_with(r"`\r\n` is sent as it is written; F5 adds"));
    assert!(notice(r"\x02go").contains(r"`\x02`"));
    assert_eq!(notice(r"C:\new\readme.txt"), "");
}

#[test]
fn each_peer_has_its_line_end() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    let texts = ["x\r\n", "x\n", "x\r", "x"];
    for expected in texts {
        chat.key(Action::ChangeLineEnd);
        chat.write("x");
        chat.key(Action::Submit);
        assert_eq!(chat.sent.last().unwrap().payload, Payload::Text(expected.to_owned()));
    }
    // The entry of a message is recognised with its line end, which is not shown.
    for _ in texts {
        chat.answer(None);
    }
    assert_eq!(chat.texts(), ["x"; 4]);
    chat.key(Action::Up);
    assert_eq!(chat.model.input.text(), "x");
    chat.key(Action::Interrupt);
    // Without text only the line end is sent, and nothing without both.
    chat.key(Action::Submit);
    assert!(chat.sent.is_empty());
    chat.key(Action::ChangeLineEnd);
    chat.key(Action::Submit);
    assert_eq!(chat.sent.remove(0).payload, Payload::Text("\r\n".to_owned()));
    chat.key(Action::NextPeer);
    chat.write("y");
    chat.key(Action::Submit);
    assert_eq!(chat.sent.remove(0).payload, Payload::Text("y".to_owned()));
    chat.key(Action::PreviousPeer);
    chat.write("z");
    chat.key(Action::Submit);
    assert_eq!(chat.sent.remove(0).payload, Payload::Text("z\r\n".to_owned()));
}

#[test]
fn hex_digits_are_sent_as_bytes() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.key(Action::ChangeLineEnd);
    chat.key(Action::ToggleHex);
    for (invalid, expected) in
        [("4", "odd number of hex digits"), ("zz", "invalid hex digit 'z' at position 1")]
    {
        chat.write(invalid);
        chat.key(Action::Submit);
        assert!(chat.model.notice.as_ref().unwrap().contains(expected), "{:?}", chat.model.notice);
        assert_eq!(chat.model.input.text(), invalid);
        chat.key(Action::Interrupt);
    }
    // No line end is appended to bytes.
    chat.write("ff 00");
    chat.key(Action::Submit);
    assert_eq!(chat.sent[0].payload, Payload::Bytes(vec![0xff, 0]));
    let raw = |chat: &TestChat| chat.model.conversation.as_ref().unwrap().items[0].raw.clone();
    assert_eq!(raw(&chat), [0xff, 0]);
    chat.answer(None);
    assert_eq!((raw(&chat), chat.texts().len()), (vec![0xff, 0], 1));
    chat.key(Action::Submit);
    assert!(chat.sent.is_empty());
    chat.key(Action::ToggleHex);
    chat.write("ff");
    chat.key(Action::Submit);
    assert_eq!(chat.sent[0].payload, Payload::Text("ff\r\n".to_owned()));
}

#[test]
fn a_text_that_common_buffers_cut_has_a_notice() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    for (bytes, is_noted) in [(1_024, false), (1_025, true)] {
        chat.write(&"x".repeat(bytes));
        chat.key(Action::Submit);
        chat.answer(None);
        let notice = chat.model.notice.as_deref().unwrap_or_default();
        assert_eq!(notice.contains("in one datagram of 1,025 bytes"), is_noted, "{notice}");
    }
}
