//! Server-side request forgery, by the address: every way to write what is not to be reached.

use super::kit::{Doorkeeper, denied, execute, service};
use serde_json::json;

/// The attack, the host as somebody talked the action into granting it, why it is denied.
const FORMS: [(&str, &str, &str); 54] = [
    ("loopback", "127.0.0.1", "private_not_requested"),
    ("loopback as a decimal number", "2130706433", "private_not_requested"),
    ("loopback as a hexadecimal number", "0x7f000001", "private_not_requested"),
    ("loopback as an octal number", "017700000001", "private_not_requested"),
    ("loopback with octal parts", "0177.0.0.1", "private_not_requested"),
    ("loopback with hexadecimal parts", "0x7f.0x0.0x0.0x1", "private_not_requested"),
    ("loopback in short", "127.1", "private_not_requested"),
    ("loopback in a mixed short form", "0x7f.1", "private_not_requested"),
    ("loopback with a dot at its end", "127.0.0.1.", "private_not_requested"),
    ("another address of the loopback", "127.255.255.254", "private_not_requested"),
    ("loopback in full-width digits", "１２７.０.０.１", "private_not_requested"),
    ("loopback with ideographic dots", "127。0。0。1", "private_not_requested"),
    ("loopback in circled digits", "①②⑦.⓪.⓪.①", "private_not_requested"),
    ("this host", "0.0.0.0", "private_not_requested"),
    ("this host as a number", "0", "private_not_requested"),
    ("this host in IPv6", "[::]", "private_not_requested"),
    ("loopback in IPv6", "[::1]", "private_not_requested"),
    ("loopback in IPv6, written out", "[0:0:0:0:0:0:0:1]", "private_not_requested"),
    ("loopback mapped into IPv6", "[::ffff:127.0.0.1]", "private_not_requested"),
    ("loopback mapped, in hexadecimal", "[::ffff:7f00:1]", "private_not_requested"),
    ("loopback compatible with IPv6", "[::127.0.0.1]", "private_not_requested"),
    ("loopback translated to IPv6", "[::ffff:0:127.0.0.1]", "private_not_requested"),
    ("loopback behind NAT64", "[64:ff9b::127.0.0.1]", "private_not_requested"),
    ("loopback behind a local NAT64", "[64:ff9b:1::7f00:1]", "private_not_requested"),
    ("loopback through 6to4", "[2002:7f00:1::]", "private_not_requested"),
    ("loopback through Teredo", "[2001:0:808:808::80ff:fffe]", "private_not_requested"),
    ("a Teredo server on loopback", "[2001:0:7f00:1::f7f7:f7f7]", "private_not_requested"),
    ("loopback through ISATAP", "[2606:4700::5efe:7f00:1]", "private_not_requested"),
    ("metadata", "169.254.169.254", "private_not_requested"),
    ("metadata as a number", "2852039166", "private_not_requested"),
    ("metadata mapped into IPv6", "[::ffff:a9fe:a9fe]", "private_not_requested"),
    ("metadata behind NAT64", "[64:ff9b::a9fe:a9fe]", "private_not_requested"),
    ("metadata through 6to4", "[2002:a9fe:a9fe::1]", "private_not_requested"),
    ("metadata of AWS in IPv6", "[fd00:ec2::254]", "private_not_requested"),
    ("metadata of AWS for containers", "169.254.170.2", "private_not_requested"),
    ("metadata of Alibaba", "100.100.100.200", "private_not_requested"),
    ("metadata of Oracle", "192.0.0.192", "private_not_requested"),
    ("Azure's own server at a public address", "168.63.129.16", "private_not_requested"),
    ("link-local", "169.254.1.1", "private_not_requested"),
    ("link-local in IPv6", "[fe80::1]", "private_not_requested"),
    ("private, ten", "10.0.0.1", "private_not_requested"),
    ("private, 172.16", "172.16.0.1", "private_not_requested"),
    ("private, 192.168", "192.168.0.1", "private_not_requested"),
    ("unique local", "[fd12:3456:789a::1]", "private_not_requested"),
    ("site-local", "[fec0::1]", "private_not_requested"),
    ("behind a carrier's NAT", "100.64.0.1", "private_not_requested"),
    ("for benchmarks", "198.18.0.1", "private_not_requested"),
    ("broadcast", "255.255.255.255", "never_reached"),
    ("broadcast as a number", "4294967295", "never_reached"),
    ("multicast", "224.0.0.1", "never_reached"),
    ("multicast in IPv6", "[ff02::1]", "never_reached"),
    ("documentation", "192.0.2.1", "never_reached"),
    ("documentation in IPv6", "[2001:db8::1]", "never_reached"),
    ("reserved", "240.0.0.1", "never_reached"),
];

#[tokio::test(flavor = "multi_thread")]
async fn ssrf_by_every_form_of_an_address_through_outbound() {
    let (service, target) = (service(None, &[]).await, Doorkeeper::start().await);
    let port = target.port();
    for (attack, host, reason) in FORMS {
        let config = json!({"mode": "get", "effect": "read", "url": format!("http://{host}:{port}/")});
        denied(&service.private, attack, "misbehave", config, json!({}), reason).await;
        let config = json!({"mode": "tcp", "address": format!("{host}:{port}")});
        denied(&service.private, attack, "misbehave", config, json!({}), reason).await;
    }
    target.saw_nobody().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ssrf_by_an_address_through_wasi_http_and_wasi_sockets() {
    let (service, target) = (service(None, &[]).await, Doorkeeper::start().await);
    let port = target.port();
    // wasi:http takes an authority of ASCII alone; std reads an address before it asks anybody.
    for (attack, host, reason) in FORMS.into_iter().filter(|(_, host, _)| host.is_ascii()) {
        let config = json!({"url": format!("http://{host}:{port}/")});
        denied(&service.private, attack, "wasi-http", config, json!({}), reason).await;
    }
    for (attack, host, reason) in FORMS.into_iter().filter(|(_, host, _)| {
        host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| !address.is_broadcast() && !address.is_multicast())
    }) {
        if host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_unspecified()) {
            continue;
        }
        for mode in ["tcp", "udp", "udp-connected"] {
            let config = json!({"mode": mode, "address": format!("{host}:{port}")});
            denied(&service.private, &format!("{attack} by {mode}"), "wasi-sockets", config, json!({}), reason).await;
        }
    }
    target.saw_nobody().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_of_one_port_is_no_grant_of_another() {
    let (service, target) = (service(None, &[]).await, Doorkeeper::start().await);
    let other = target.port().wrapping_add(1).max(1);
    let grants = json!({"private_networks": true, "egress": [{"host": "127.0.0.1", "ports": [other]}]});
    for (attack, protocol, config) in [
        ("another port by outbound", "misbehave", json!({"mode": "get", "effect": "read"})),
        ("another port by a connection", "misbehave", json!({"mode": "tcp"})),
        ("another port by wasi:http", "wasi-http", json!({"url": "https://granted.example/"})),
        ("another port by TCP", "wasi-sockets", json!({"address": "granted.example:443"})),
        ("another port by UDP", "wasi-sockets", json!({"address": "granted.example:443", "mode": "udp"})),
    ] {
        let mut config = config;
        let url = config["mode"] == "get" || protocol == "wasi-http";
        let place = target.address.to_string();
        config["target"] = if url { format!("http://{place}/").into() } else { place.into() };
        let denial = denied(&service.private, attack, protocol, config, grants.clone(), "not_granted").await;
        assert_eq!(denial["port"], target.port(), "{attack}");
        let hint = format!("add {{\"host\": \"127.0.0.1\", \"ports\": [{}]}} to grants.egress", target.port());
        assert_eq!(denial["hint"], hint, "{attack}");
    }
    target.saw_nobody().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reads_like_a_granted_host_and_is_another_is_not_reached() {
    let (service, target) = (service(None, &[]).await, Doorkeeper::start().await);
    let api = &service.private;
    let evil = target.address;
    let grants = json!({"private_networks": true, "egress": [{"host": "good.example"}, {"host": "*.good.example"}]});
    // What is no URL is the guest's mistake, before anybody looks at grants.
    for (attack, url, code) in [
        ("the granted host as a user name", format!("http://good.example@{evil}/"), "protocol_failed"),
        ("as a user name with a password", format!("http://good.example:80@{evil}/"), "protocol_failed"),
        ("behind a backslash", format!("http://{evil}\\@good.example/"), "egress_denied"),
        ("as a fragment", format!("http://{evil}#@good.example/"), "egress_denied"),
        ("as a query", format!("http://{evil}?@good.example/"), "egress_denied"),
        ("as a path", format!("http://{evil}/good.example"), "egress_denied"),
        ("with a tab in the scheme's end", format!("http:/\t/{evil}/"), "egress_denied"),
        ("with a line break in the host", format!("http://127.0.\n0.1:{}/", target.port()), "egress_denied"),
        ("percent-encoded", format!("http://%31%32%37.0.0.1:{}/", target.port()), "egress_denied"),
        ("as the beginning of a name", "http://good.example.evil.example/".to_owned(), "egress_denied"),
        ("as the end of a name", "http://evilgood.example/".to_owned(), "egress_denied"),
        ("with two dots at its end", "http://good.example../".to_owned(), "egress_denied"),
        ("with an empty part", "http://a..good.example/".to_owned(), "egress_denied"),
        ("in Cyrillic", "http://gооd.example/".to_owned(), "egress_denied"),
        ("a zone id", format!("http://[fe80::1%25lo]:{}/", target.port()), "protocol_failed"),
        ("a NUL in the name", "http://good.example\0.evil.example/".to_owned(), "protocol_failed"),
        ("a space in the name", "http://good.example .evil.example/".to_owned(), "protocol_failed"),
        ("another scheme", format!("gopher://{evil}/"), "protocol_failed"),
        ("a file", "file:///etc/passwd".to_owned(), "protocol_failed"),
    ] {
        let config = json!({"mode": "get", "effect": "read", "target": url});
        let execution = execute(api, "misbehave", &config, &grants).await;
        assert_eq!(execution["error"]["code"], code, "{attack}: {execution}");
        let events = api.events(execution["id"].as_str().unwrap()).await;
        assert!(!events.iter().any(|event| event["type"] == "request_made"), "{attack}: {events:?}");
        let recorded = events.iter().filter(|event| event["type"] == "egress_denied").count();
        assert_eq!(recorded, usize::from(code == "egress_denied"), "{attack}: {events:?}");
    }
    // wasi:http reads authorities by itself.
    for (attack, authority) in [
        ("the granted host as a user name", format!("good.example@{evil}")),
        ("percent-encoded", format!("%31%32%37.0.0.1:{}", target.port())),
        ("two dots at the end", "good.example..".to_owned()),
    ] {
        let config = json!({"url": "https://good.example/", "target": format!("http://{authority}/")});
        let execution = execute(api, "wasi-http", &config, &grants).await;
        assert_eq!(execution["status"], "failed", "{attack}: {execution}");
        let events = api.events(execution["id"].as_str().unwrap()).await;
        assert!(!events.iter().any(|event| event["type"] == "request_made"), "{attack}: {events:?}");
    }
    target.saw_nobody().await;
}
