//! Reading from a daemon of an earlier release, which does not know every parameter.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::thread;

use serde_json::{Value, json};

use crate::support::{ctl_without_daemon, new_folder};

/// Answers the requests of an `inbox`, and returns their parameters. A daemon of an earlier release knows no notices.
fn pages_asked(listener: &UnixListener, knows_notices: bool) -> Vec<Value> {
    let (stream, _) = listener.accept().unwrap();
    let mut asked = Vec::new();
    for line in BufReader::new(&stream).lines() {
        let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let params = request["params"].clone();
        let mut answer = json!({ "jsonrpc": "2.0", "id": request["id"] });
        if knows_notices || params.get("notices").is_none() {
            answer["result"] =
                json!({ "entries": [], "next": 0, "more": false, "unread": 0, "consumer": "default" });
        } else {
            let message = "unknown field `notices`";
            answer["error"] =
                json!({ "code": -32602, "message": message, "data": { "kind": "invalid_params" } });
        }
        asked.push(params);
        writeln!(&stream, "{answer}").unwrap();
    }
    asked
}

#[test]
fn a_page_of_the_history_needs_one_question_and_two_to_an_earlier_daemon() {
    let plain = json!({ "order": "desc", "limit": 20 });
    let with_notices = json!({ "order": "desc", "limit": 20, "notices": true });
    for (knows_notices, expected) in [(true, vec![with_notices.clone()]), (false, vec![with_notices, plain])]
    {
        let folder = new_folder();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let daemon = thread::spawn(move || pages_asked(&listener, knows_notices));
        ctl_without_daemon(&["--socket", socket.to_str().unwrap(), "inbox", "-n", "20"], &[]).ok();
        assert_eq!(daemon.join().unwrap(), expected);
    }
}
