//! `haul demo`: it ends by itself, and its books agree.

use haul_testkit::process::haul;

#[test]
fn the_demo_ends_by_itself_with_books_that_agree() {
    let demo = haul(&["demo", "--payments", "60", "--at-most", "120"]).run().expect("a demo");
    assert_eq!(demo.code, Some(0), "{}\n{}", demo.stdout, demo.stderr);
    assert!(demo.stdout.contains("The books agree"), "{}", demo.stdout);
    for currency in ["EUR", "USD", "JPY", "KWD"] {
        assert!(demo.stdout.contains(currency), "{}", demo.stdout);
    }
    for told in ["mails   60", "events  60"] {
        assert!(demo.stdout.contains(told), "{}", demo.stdout);
    }
    assert!(demo.stderr.contains("killing Haul with -9"), "{}", demo.stderr);
}

#[test]
fn a_demo_that_takes_too_long_ends_all_the_same_and_says_so() {
    let demo = haul(&["demo", "--payments", "100000", "--at-most", "1"]).run().expect("a demo");
    assert_eq!(demo.code, Some(1), "{demo:?}");
    assert!(demo.stderr.contains("--at-most"), "{demo:?}");
}
