//! Valid and invalid addresses, and the messages about the latter.

use super::*;

#[test]
fn listen_addresses_are_read_with_and_without_parts() {
    for (text, expected) in [
        ("[::]:7788", "[::]:7788"),
        ("0.0.0.0:7788", "0.0.0.0:7788"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1", "127.0.0.1:7788"),
        ("::1", "[::1]:7788"),
        ("[::1]", "[::1]:7788"),
        (":9000", "[::]:9000"),
        ("9000", "[::]:9000"),
        ("[fe80::1%2]:9", "[fe80::1%2]:9"),
        ("fe80::1%2", "[fe80::1%2]:7788"),
        ("[::ffff:127.0.0.1]:5", "127.0.0.1:5"),
        (" 1.2.3.4:5 ", "1.2.3.4:5"),
    ] {
        let address: ListenAddress = text.parse().unwrap();
        assert_eq!(address.to_string(), expected, "{text}");
    }
    assert_eq!(ListenAddress::DEFAULT.to_string(), "[::]:7788");
}

#[test]
fn invalid_listen_addresses_are_refused_with_a_reason() {
    for (text, reason) in [
        ("127.0.0.1:70000", "port 70000 is out of range, 0 to 65535"),
        ("70000", "port 70000 is out of range, 0 to 65535"),
        (":70000", "port 70000 is out of range, 0 to 65535"),
        ("127.0.0.1:http", "port `http` is not a number"),
        ("127.0.0.1:+5", "port `+5` is not a number"),
        ("127.0.0.1:", "port `` is not a number"),
        ("localhost:7788", "`localhost:7788` is a host name, not an IP address"),
        ("example.org", "`example.org` is a host name, not an IP address"),
        ("[1.2.3.4%lo]:7788", "not an IPv6 address with an interface"),
        ("1.2.3.4.5:6", "is not an IP address"),
        ("[::1:7788", "is not an IP address"),
        ("", "the address is empty"),
    ] {
        let error = text.parse::<ListenAddress>().unwrap_err();
        assert!(error.to_string().contains(reason), "{text}: {error}");
        assert!(error.hint().unwrap().contains("[::]:7788"));
    }
}

#[test]
fn an_interface_is_looked_up_when_it_is_used() {
    let of = |text: &str| text.parse::<PeerAddress>().unwrap();
    let listen = |text: &str| text.parse::<ListenAddress>().unwrap();
    for (text, now) in [
        ("[fe80::1%lo]:9", Some("[fe80::1%1]:9")),
        ("[fe80::1%7]:9", Some("[fe80::1%7]:9")),
        ("[fe80::1%nosuch0]:9", None),
    ] {
        let now: Option<SocketAddr> = now.map(|now| now.parse().unwrap());
        assert_eq!((of(text).to_string(), of(text).destination()), (text.to_owned(), now));
        assert_eq!((listen(text).to_string(), listen(text).socket_address()), (text.to_owned(), now));
    }
    assert_eq!(of("fe80::1%lo").numbered(), of("fe80::1%1"));
    assert_eq!(of("[fe80::1%nosuch0]:9").numbered(), of("[fe80::1%nosuch0]:9"));
    let error = "fe80::1%no such".parse::<PeerAddress>().unwrap_err();
    assert_eq!(error.to_string(), "`no such` is not a name of an interface");
    assert!(error.hint().unwrap().contains("ip link"));
}

#[test]
fn other_notations_of_ipv4_are_refused() {
    for (host, hint) in [
        ("127.0.0.010", "write 127.0.0.10:"),
        ("192.168.001.010", "write 192.168.1.10:"),
        ("10.1", "four numbers"),
        ("2130706433", "four numbers"),
        ("0x7f.0.0.1", "four numbers"),
        ("256.1.1.1", "four numbers"),
        ("0x", "four numbers"),
    ] {
        let error = check_ipv4(host).unwrap_err();
        assert!(error.hint().unwrap().contains(hint), "{host}: {error:?}");
        assert_eq!(format!("{host}:7788").parse::<PeerAddress>().unwrap_err(), error);
    }
    for host in ["127.0.0.10", "host", "1.2.3.4.5", "10.example", "", "::1", "a0x1.2"] {
        assert!(check_ipv4(host).is_ok(), "{host}");
    }
}

#[test]
fn a_port_behind_a_wrong_sign_is_refused_with_the_right_spelling() {
    for (text, meant) in [
        ("::1:27851", "[::1]:27851"),
        ("fe80::1%2:27851", "[fe80::1%2]:27851"),
        ("127.0.0.1,7788", "127.0.0.1:7788"),
        ("[::1],7788", "[::1]:7788"),
        ("::1,7788", "[::1]:7788"),
        ("10.0.0.1#80", "10.0.0.1:80"),
    ] {
        let error = check_port_sign(text).unwrap_err();
        assert_eq!(error.hint(), Some(&*format!("write `{meant}`")), "{text}");
        assert_eq!(text.parse::<PeerAddress>().unwrap_err(), error);
        assert!(meant.parse::<PeerAddress>().is_ok());
    }
    for text in
        ["::1:7788", "127.0.0.1:7788", "[::1]:7788", "host,7788", "127.0.0.1,70000", "a:b", ",7", "bob"]
    {
        assert!(check_port_sign(text).is_ok(), "{text}");
    }
}

#[test]
fn peer_addresses_are_read_and_shown() {
    for (text, shown, destination) in [
        ("192.168.43.159:8080", "192.168.43.159:8080", "192.168.43.159:8080"),
        ("192.168.43.159", "192.168.43.159", "192.168.43.159:7788"),
        ("[fe80::1%2]:7788", "[fe80::1%2]:7788", "[fe80::1%2]:7788"),
        ("fe80::1%2", "fe80::1%2", "[fe80::1%2]:7788"),
        ("::1", "::1", "[::1]:7788"),
        ("[::ffff:1.2.3.4]:80", "1.2.3.4:80", "1.2.3.4:80"),
    ] {
        let address: PeerAddress = text.parse().unwrap();
        assert_eq!(address.to_string(), shown);
        assert_eq!(address.destination().unwrap().to_string(), destination);
        assert_eq!(address.to_string().parse::<PeerAddress>().unwrap(), address);
    }
}

#[test]
fn invalid_peer_addresses_are_refused_with_a_reason() {
    for (text, reason) in [
        ("1.2.3.4:0", "a peer cannot have port 0"),
        ("1.2.3.4:65536", "port 65536 is out of range"),
        ("0.0.0.0:80", "the unspecified address"),
        ("bob.example:80", "is a host name, not an IP address"),
        ("", "is not an IP address"),
        (":80", "is not an IP address"),
    ] {
        let error = text.parse::<PeerAddress>().unwrap_err();
        assert!(error.to_string().contains(reason), "{text}: {error}");
        assert!(error.hint().unwrap().contains("udpchatctl send"));
    }
}

#[test]
fn a_peer_without_a_port_matches_any_port() {
    let matches =
        |peer: &str, source: &str| peer.parse::<PeerAddress>().unwrap().matches(source.parse().unwrap());
    assert!(matches("1.2.3.4", "1.2.3.4:999"));
    assert!(matches("1.2.3.4", "[::ffff:1.2.3.4]:999"));
    assert!(!matches("1.2.3.4", "1.2.3.5:999"));
    assert!(matches("1.2.3.4:80", "1.2.3.4:80"));
    assert!(!matches("1.2.3.4:80", "1.2.3.4:81"));
    assert!(matches("fe80::1", "[fe80::1%3]:80"));
}

#[test]
fn an_address_matches_without_its_interface_being_looked_up() {
    for peer in ["fe80::1%lo", "fe80::1%2", "fe80::1%nosuch0"] {
        let peer: PeerAddress = peer.parse().unwrap();
        for source in ["[fe80::1%1]:9", "[fe80::1%3]:9", "[fe80::1]:9"] {
            assert!(peer.matches(source.parse().unwrap()), "{peer} {source}");
        }
        assert!(!peer.matches("[fe80::2%1]:9".parse().unwrap()));
    }
    let is_on = |peer: &str, source: &str| {
        let peer: PeerAddress = peer.parse().unwrap();
        peer.is_on_interface_of(source.parse().unwrap(), |interface, number| {
            interface.number().map(|own| own == number)
        })
    };
    assert_eq!(
        (is_on("fe80::1%lo", "[fe80::1%1]:9"), is_on("fe80::1", "[fe80::1%3]:9")),
        (Some(true), Some(true))
    );
    assert_eq!(is_on("fe80::1%lo", "[fe80::1%3]:80"), Some(false));
    assert_eq!(
        (is_on("10.0.0.1", "10.0.0.1:9"), is_on("fe80::1%nosuch0", "[fe80::1]:9")),
        (Some(true), None)
    );
}

#[test]
fn networks_are_read_and_normalised() {
    for (text, shown) in [
        ("192.168.0.0/16", "192.168.0.0/16"),
        ("192.168.7.9/16", "192.168.0.0/16"),
        ("10.0.0.1", "10.0.0.1/32"),
        ("fe80::/10", "fe80::/10"),
        ("::1", "::1/128"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::/0", "::/0"),
    ] {
        assert_eq!(text.parse::<Network>().unwrap().to_string(), shown, "{text}");
    }
    for text in ["", "10.0.0.0/33", "lan", "10.0.0", "10.0.0.1:80"] {
        let error = text.parse::<Network>().unwrap_err();
        assert!(error.to_string().ends_with("is not a network"), "{text}: {error}");
        assert!(error.hint().unwrap().contains("192.168.0.0/16"));
    }
}

#[test]
fn wildcards_are_written_as_a_prefix() {
    for (text, meant) in [
        ("10.0.0.*", "10.0.0.0/24"),
        ("10.1.*.*", "10.1.0.0/16"),
        ("10.1.*", "10.1.0.0/16"),
        ("10.*", "10.0.0.0/8"),
    ] {
        let hint = format!("write `{meant}`");
        assert_eq!(check_wildcards(text).unwrap_err().hint(), Some(&*hint), "{text}");
        assert_eq!(text.parse::<Network>().unwrap_err().hint(), Some(&*hint), "{text}");
    }
    for text in ["", "*", "10.0.0.1", "10.*.0.1", "10.0.0.0.*", "256.*", "bob.*", "10.0.0.*/24"] {
        assert!(check_wildcards(text).is_ok(), "{text}");
    }
}

#[test]
fn a_wrong_destination_is_refused_and_a_host_is_not() {
    for text in
        ["10.0.0.7", "10.0.0.7:9", "[::1]:9", "::1", "lab.example", "lab:9000", "张三", "fe80::1%eth0"]
    {
        assert!(check_destination(text).is_ok(), "{text}");
    }
    for text in [
        "10.0.0.7:99999",
        "10.0.0.7:0",
        "lab:99999",
        "lab:x",
        "10.0.0.7：9",
        "10.0.7",
        "10.0.0.7,9",
        "１.2.3.4",
        "[::1]:65536",
    ] {
        assert!(check_destination(text).unwrap_err().hint().is_some(), "{text}");
    }
}

#[test]
fn a_network_contains_ipv4_inside_ipv6() {
    let network: Network = "10.0.0.0/8".parse().unwrap();
    assert!(network.contains("10.1.2.3".parse().unwrap()));
    assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
    assert!(!network.contains("11.1.2.3".parse().unwrap()));
}
