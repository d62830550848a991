//! `email.send` against a real, small mail server.

use crate::world::{World, config, quick};
use haul_core::{
    Config,
    config::{AllowList, MailProtection, MailServer as Place},
};
use haul_handlers::Secrets;
use haul_parties::smtp::{MailServer, Message, Options, Protection, Step, Verdict};
use haul_testkit::http::{Reply, Sink};
use serde_json::{Value, json};

fn mailing(server: &MailServer, protection: MailProtection) -> Config {
    let mut config = config();
    config.email.url = Some(Place { host: "127.0.0.1".to_owned(), port: server.port(), protection });
    config.email.from = Some("Shop <shop@example.com>".to_owned());
    config
}

async fn plain(server: &MailServer) -> World {
    World::with(mailing(server, MailProtection::None), Secrets::default()).await
}

fn letter() -> Value {
    json!({"to": "ann@example.com", "subject": "Your order", "text": "It is on its way."})
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.data).into_owned()
}

#[tokio::test]
async fn a_message_arrives_whole_with_its_attachments() {
    let (server, files) = (MailServer::start().await.unwrap(), Sink::start().await.unwrap());
    files.respond("/moved", [Reply::redirect("/bill.pdf")]);
    files.respond("/bill.pdf", [Reply::status(200).header("content-type", "application/pdf").body("%PDF-1.7")]);
    let world = plain(&server).await;
    let payload = json!({
        "to": ["Ann <ann@example.com>", "bob@example.com"],
        "cc": "carl@example.com",
        "bcc": "hidden@example.com",
        "reply_to": "help@example.com",
        "subject": "Grüße",
        "text": "plain words\n.\nafter a dot",
        "html": "<p>rich words</p>",
        "headers": {"X-Order": "7"},
        "attachments": [
            {"url": files.url("/moved"), "filename": "bill ü.pdf"},
            {"content_base64": "aGVsbG8=", "filename": "hello.txt", "content_type": "text/plain"},
        ],
    });
    let id = world.submit("email.send", &payload, quick(2)).await;
    let result = world.succeeded(id).await;
    let message_id = format!("<{id}@example.com>");
    assert_eq!(result, json!({"message_id": message_id, "recipients": 4}));
    let [message] = &server.messages()[..] else { panic!("{:?}", server.messages()) };
    assert_eq!(message.from, "shop@example.com");
    assert_eq!(message.to, ["ann@example.com", "bob@example.com", "carl@example.com", "hidden@example.com"]);
    let header = |name| message.header(name).unwrap();
    assert_eq!((header("Message-ID"), header("X-Order")), (message_id, "7".to_owned()));
    assert_eq!((header("Reply-To"), header("Cc")), ("help@example.com".to_owned(), "carl@example.com".to_owned()));
    assert!(header("From").ends_with("<shop@example.com>") && header("Subject").starts_with("=?utf-8?"));
    let text = text(message);
    for part in ["plain words\r\n.\r\nafter a dot", "<p>rich words</p>", "%PDF-1.7", "application/pdf", "hello"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("hidden@"), "{text}");
    world.end().await;
}

#[tokio::test]
async fn over_tls_the_server_is_verified_and_logged_in_to() {
    const WRONG: &str = "MarkedAsSecret-but-another";
    for (theirs, ours) in [(Protection::StartTls, MailProtection::StartTls), (Protection::Tls, MailProtection::Tls)] {
        let password = crate::secrets::PLANTED;
        let login = Some(("haul".to_owned(), password.to_owned()));
        let server = MailServer::start_with(Options { protection: theirs, login }).await.unwrap();
        let roots = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(roots.path(), server.certificate_pem()).unwrap();
        let mut config = mailing(&server, ours);
        config.email.user = Some("haul".to_owned());
        config.email.password = Some("smtp".to_owned());
        let secrets = |password: &str| Secrets::new([("HAUL_SECRET_SMTP".to_owned(), password.into())], None);

        // Nobody vouches for its certificate: nothing is said to it.
        let mut unknown = mailing(&server, ours);
        (unknown.email.user, unknown.email.password) = (config.email.user.clone(), config.email.password.clone());
        let world = World::with(unknown, secrets(password)).await;
        let id = world.submit("email.send", &letter(), quick(1)).await;
        assert!(world.died(id).await.1.contains("TLS"), "{:?}", world.outcome(id).await.error);
        world.end().await;
        assert!(server.messages().is_empty());

        config.outgoing.roots = Some(roots.path().to_owned());
        let world = World::with(mailing_like(&config), secrets(password)).await;
        let id = world.submit("email.send", &letter(), quick(2)).await;
        world.succeeded(id).await;
        let message = &server.messages()[0];
        assert_eq!((message.is_protected, message.user.as_deref()), (true, Some("haul")));
        world.end().await;

        // A wrong password is the operator's to mend: the job is not given up at once.
        let world = World::with(config, secrets(WRONG)).await;
        let id = world.submit("email.send", &letter(), quick(2)).await;
        let (attempt, reason) = world.died(id).await;
        assert_eq!((attempt, reason.contains("email.password")), (2, true), "{reason}");
        let error = world.outcome(id).await.error;
        assert!(!format!("{error:?}").contains(WRONG), "{error:?}");
        world.end().await;
    }
}

fn mailing_like(config: &Config) -> Config {
    let mut copy = crate::world::config();
    copy.email = config.email.clone();
    copy.outgoing = config.outgoing.clone();
    copy
}

#[tokio::test]
async fn without_the_encryption_that_was_asked_for_nothing_is_sent() {
    let server = MailServer::start().await.unwrap();
    for protection in [MailProtection::StartTls, MailProtection::Tls] {
        let mut config = mailing(&server, protection);
        config.outgoing.connect_timeout = haul_core::Span::from_secs(1);
        let world = World::with(config, Secrets::default()).await;
        let id = world.submit("email.send", &letter(), quick(1)).await;
        let (_, reason) = world.died(id).await;
        assert!(reason.contains("TLS") || reason.contains("no connection"), "{reason}");
        world.end().await;
    }
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn what_is_refused_for_now_is_sent_again_under_the_same_id() {
    let server = MailServer::start().await.unwrap();
    server.answer_messages([Verdict::Refuse(451), Verdict::KeepAndHangUp, Verdict::HangUp]);
    let world = plain(&server).await;
    let id = world.submit("email.send", &letter(), quick(9)).await;
    world.succeeded(id).await;
    assert_eq!(world.outcome(id).await.attempt, 4);
    let ids: Vec<_> = server.messages().iter().map(|message| message.header("Message-ID").unwrap()).collect();
    assert_eq!(ids, [format!("<{id}@example.com>"), format!("<{id}@example.com>")], "one by one a reader can tell");
    world.end().await;
}

#[tokio::test]
async fn what_is_refused_for_good_is_final_and_nobody_is_written_to() {
    let server = MailServer::start().await.unwrap();
    server.judge(|step| match step {
        Step::Recipient("gone@example.com") => Verdict::Refuse(550),
        Step::Recipient("busy@example.com") => Verdict::Refuse(450),
        Step::Sender("spam@example.com") => Verdict::Refuse(553),
        _ => Verdict::Accept,
    });
    let world = plain(&server).await;
    let send = async |change: Value| {
        let mut payload = letter();
        payload.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        world.submit("email.send", &payload, quick(3)).await
    };
    let gone = send(json!({"to": ["ann@example.com", "gone@example.com", "busy@example.com"]})).await;
    let reason = "the mail server refused 2 of 3 recipients; nobody was written to";
    assert_eq!(world.died(gone).await, (1, reason.to_owned()));
    let detail = world.outcome(gone).await.error.unwrap().detail.unwrap();
    assert!(detail.contains("gone@example.com: ") && detail.contains("550") && detail.lines().count() == 2, "{detail}");
    assert_eq!(world.died(send(json!({"to": "busy@example.com"})).await).await.0, 3);
    assert_eq!(world.died(send(json!({"from": "spam@example.com"})).await).await.0, 1);
    assert!(server.messages().is_empty());
    world.end().await;
}

#[tokio::test]
async fn what_no_server_should_see_never_gets_there() {
    let (server, files) = (MailServer::start().await.unwrap(), Sink::start().await.unwrap());
    files.respond("/large", [Reply::status(200).body(vec![b'x'; 26 * 1_024 * 1_024])]);
    files.respond("/gone", [Reply::status(404)]);
    let world = plain(&server).await;
    for (change, words) in [
        (json!({"to": "ann@example.com\r\nBcc: eve@example.com"}), "`to[0]`"),
        (json!({"subject": "a\r\nBcc: eve@example.com"}), "`subject`"),
        (json!({"headers": {"X-A": "b\r\n\r\nbody"}}), "`headers`"),
        (json!({"attachments": [{"filename": "a\r\nb", "content_base64": ""}]}), "`filename`"),
        (json!({"attachments": [{"filename": "../a", "content_base64": ""}]}), "`filename`"),
        (
            json!({"attachments": [{"filename": "a", "content_base64": "", "content_type": "a/b\r\nX: y"}]}),
            "`content_type`",
        ),
        (json!({"attachments": [{"filename": "a", "content_base64": "?"}]}), "base64"),
        (json!({"attachments": [{"filename": "a"}]}), "either a `url`"),
        (json!({"attachments": [{"filename": "a", "url": "http://169.254.169.254/"}]}), "metadata service"),
        (json!({"attachments": [{"filename": "a", "url": files.url("/large")}]}), "more than"),
        (json!({"attachments": [{"filename": "a", "url": files.url("/gone")}]}), "404"),
    ] {
        let mut payload = letter();
        payload.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let id = world.submit("email.send", &payload, quick(3)).await;
        let (attempt, reason) = world.died(id).await;
        assert!(attempt == 1 && reason.contains(words), "{change}: attempt {attempt}, {reason}");
    }
    assert!(server.messages().is_empty());
    world.end().await;
}

#[tokio::test]
async fn an_unencrypted_session_goes_to_this_machine_even_where_payloads_may_not() {
    let server = MailServer::start().await.unwrap();
    let mut config = mailing(&server, MailProtection::None);
    config.outgoing.allow = AllowList::Only(Vec::new());
    let world = World::with(config, Secrets::default()).await;
    let id = world.submit("email.send", &letter(), quick(1)).await;
    world.succeeded(id).await;
    world.end().await;
}
