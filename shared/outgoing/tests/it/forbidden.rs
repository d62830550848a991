//! A table of URLs that must not be called, each refused when it is checked, and again when it is sent.

use crate::world::{allowing, ran_without_network};
use haul_core::Config;
use haul_outgoing::{Call, CallError, Outgoing, Refusal};
use http::Method;

/// However these are spelled, they lead to where no job may go.
const FORBIDDEN: &[&str] = &[
    // This machine, by its address.
    "http://127.0.0.1/",
    "http://127.0.0.1:8080/v1/jobs",
    "https://127.255.255.254/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://0177.0.0.01/",
    "http://00000177.1/",
    "http://127.0.0.1./",
    "http://127.0.0.1:80./",
    "http://%31%32%37.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://①②⑦.⓪.⓪.①/",
    "http:127.0.0.1/",
    "http:/127.0.0.1/",
    "http:////127.0.0.1/",
    "http://\\127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    // This machine, by its names.
    "http://localhost/",
    "http://LOCALHOST:9000/",
    "http://localhost./",
    "http://a.localhost/",
    "http://localhost.localdomain/",
    "http://ip6-localhost/",
    "http://ｌｏｃａｌｈｏｓｔ/",
    "http://%6c%6f%63%61%6c%68%6f%73%74/",
    // Unspecified, which most systems take for this machine.
    "http://0/",
    "http://0.0.0.0/",
    "http://0x0/",
    "http://000.0/",
    "http://0.1.2.3/",
    "http://[::]/",
    // IPv6 and IPv4 within it.
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[::7f00:1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:c0a8:101::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:470::5efe:10.0.0.1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[fc00::1]/",
    "http://[fd12:3456:789a::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "http://[4000::1]/",
    // Networks of one's own.
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://167772161/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://0xc0a80001/",
    "http://100.64.0.1/",
    "http://100.127.255.255/",
    "http://[::ffff:10.0.0.1]/",
    // Metadata services.
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/",
    "http://169.254.170.2/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://metadata.google.internal/",
    "http://metadata/",
    "http://METADATA.google.internal./",
    // Many machines, examples, measurements, and what nobody has.
    "http://169.254.0.1/",
    "http://224.0.0.1/",
    "http://239.255.255.250:1900/",
    "http://255.255.255.255/",
    "http://240.0.0.1/",
    "http://192.0.2.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://198.18.0.1/",
    "http://192.88.99.1/",
    "http://192.0.0.1/",
];

/// What is no URL of a call, wherever it would lead.
const MALFORMED: &[&str] = &[
    "",
    "example.com",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "unix:///var/run/docker.sock",
    "javascript:alert(1)",
    "data:text/plain,x",
    "http://",
    "http://./",
    "http://../",
    "http://user@example.com/",
    "http://user:hush@example.com/",
    "http://:hush@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1@example.com/",
    "http://example.com:80@127.0.0.1/",
    "http://example.com\r\nHost: other/",
    "http://exa\tmple.com/",
    "http://example.com/\n",
    " http://example.com/",
    "http://example.com/ HTTP/1.1",
    "http://example.com\u{0}/",
    "http://example.com\\.other/",
    "http://example.com:0/",
    "http://example.com:22/",
    "http://example.com:25/",
    "http://example.com:99999/",
    "http://256.256.256.256/",
    "http://1.2.3.4.5/",
    "http://0x100000000/",
    "http://[::1",
    "http://[::g]/",
    "http://exa%00mple.com/",
    "http://a<b>/",
];

#[tokio::test]
async fn every_spelling_of_a_forbidden_place_is_refused_when_checked_and_when_sent() {
    if ran_without_network("forbidden::every_spelling_of_a_forbidden_place_is_refused_when_checked_and_when_sent") {
        return;
    }
    assert!(FORBIDDEN.len() + MALFORMED.len() >= 60);
    let strict = Outgoing::new(&Config::defaults().outgoing).unwrap();
    let everything = ["loopback", "0.0.0.0/0", "::/0", "metadata", "metadata.google.internal"];
    let lenient = Outgoing::new(&allowing(&everything)).unwrap();
    let mut sent = 0;
    for url in FORBIDDEN.iter().chain(MALFORMED) {
        let refusal = strict.check(url).expect_err(url);
        assert!(!refusal.to_string().contains("hush"), "{refusal}");
        // A target that other rules let through is measured by those of the client that sends it.
        let Ok(target) = lenient.check(url) else { continue };
        let error = strict.send(Call::new(Method::GET, target)).await.expect_err(url);
        assert!(matches!(error, CallError::Refused(_)), "{url}: {error:?}");
        sent += 1;
    }
    // The others are refused under any rules: white space, backslashes, and what is no URL.
    assert!(sent >= 85, "only {sent} of them were tried");
}

#[test]
fn the_reason_names_what_is_wrong_and_what_to_set() {
    let strict = Outgoing::new(&Config::defaults().outgoing).unwrap();
    let reason = |url: &str| strict.check(url).unwrap_err().to_string();
    assert_eq!(
        reason("http://0x7f.1/?key=hush"),
        "the URL leads to 127.0.0.1, a loopback address, which `outgoing.allow` does not list"
    );
    assert!(reason("http://[::ffff:169.254.169.254]/").contains("a cloud's metadata service"));
    assert!(reason("http://localhost/").contains("`outgoing.allow` does not list it"));
    assert_eq!(reason("http://example.com:25/"), "the URL has port 25, which `outgoing.ports` does not list");
    assert!(reason("http://u:hush@example.com/").contains("set the header Authorization instead"));
    assert_eq!(strict.check("http://u:p@example.com/"), Err(Refusal::UserInfo));
}

#[test]
fn public_places_are_let_through_and_destinations_are_normalised() {
    let strict = Outgoing::new(&Config::defaults().outgoing).unwrap();
    for (url, destination) in [
        ("http://example.com", "http://example.com:80"),
        ("HTTPS://EXAMPLE.com./a?b=c#d", "https://example.com:443"),
        ("https://example.com:8443/", "https://example.com:8443"),
        ("http://bücher.example/", "http://xn--bcher-kva.example:80"),
        ("http://8.8.8.8/", "http://8.8.8.8:80"),
        ("http://134744072/", "http://8.8.8.8:80"),
        ("http://[2606:4700:4700::1111]/", "http://[2606:4700:4700::1111]:80"),
        ("http://[::ffff:8.8.8.8]/", "http://[::ffff:8.8.8.8]:80"),
        ("http://[64:ff9b::8.8.8.8]/", "http://[64:ff9b::808:808]:80"),
        ("http://localhost.example.com/", "http://localhost.example.com:80"),
        ("http://172.32.0.1/", "http://172.32.0.1:80"),
        ("http://redis:6379/", "http://redis:6379"),
    ] {
        let target = strict.check(url).expect(url);
        assert_eq!(target.destination().to_string(), destination);
        assert!(!format!("{target:?}").contains("b=c"), "{target:?}");
    }
}

#[test]
fn what_the_settings_list_is_let_through_and_no_more() {
    let check = |entry: &str, url: &str| Outgoing::new(&allowing(&[entry])).unwrap().check(url).is_ok();
    for url in ["http://127.0.0.1/", "http://127.9.9.9/", "http://[::1]/", "http://localhost/", "http://a.localhost/"] {
        assert!(check("loopback", url), "{url}");
    }
    assert!(!check("loopback", "http://0.0.0.0/") && !check("loopback", "http://10.0.0.1/"));
    assert!(check("10.0.0.0/8", "http://10.1.2.3/") && check("10.0.0.0/8", "http://[::ffff:10.1.2.3]/"));
    assert!(!check("10.0.0.0/8", "http://11.0.0.1.nip.localhost/") && !check("10.0.0.0/8", "http://192.168.0.1/"));
    assert!(check("localhost", "http://localhost/") && !check("localhost", "http://127.0.0.1/"));
    assert!(check("169.254.169.254", "http://169.254.169.254/"));
}
