//! The receiver of webhooks: it takes what is signed, and its books tell the truth whatever was answered.

use haul_parties::receiver::{Behaviour, Hook, Mood, Receiver, Verdict};
use haul_testkit::http::{Answer, Client};
use standardwebhooks::Webhook;
use std::time::{Duration, SystemTime};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

struct World {
    receiver: Receiver,
    hook: Hook,
}

impl World {
    async fn new() -> Self {
        let receiver = Receiver::start().await.expect("start");
        let hook = receiver.hook("/hook");
        hook.trust([SECRET]).expect("a secret");
        Self { receiver, hook }
    }

    /// Sends a body that is signed so many seconds ago, perhaps another one than was signed.
    async fn send(&self, id: &str, age_s: i64, signed: &str, sent: &str) -> Option<Answer> {
        #[expect(clippy::disallowed_methods, reason = "a receiver compares with the real time")]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        let at = i64::try_from(now).expect("before the end of time") - age_s;
        let signature = Webhook::new(SECRET).expect("a secret").sign(id, at, signed.as_bytes()).expect("a signature");
        let request = http::Request::post("/hook")
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signature);
        let client = Client::new(&format!("http://127.0.0.1:{}", self.receiver.port()));
        client.send(request, sent.to_owned().into()).await.ok()
    }

    async fn status(&self, id: &str) -> Option<u16> {
        self.send(id, 0, "{}", "{}").await.map(|answer| answer.status)
    }
}

#[tokio::test]
async fn only_what_is_signed_as_it_is_and_just_now_is_accepted() {
    let world = World::new().await;
    assert_eq!(world.status("msg_1").await, Some(204));
    for (age_s, sent) in [(0, "{ }"), (0, ""), (600, "{}"), (-600, "{}")] {
        let answer = world.send("msg_2", age_s, "{}", sent).await.expect("an answer");
        assert_eq!(answer.status, 401, "{age_s} {sent:?}");
    }
    world.hook.trust([OTHER]).expect("a secret");
    assert_eq!(world.status("msg_3").await, Some(401));
    world.hook.trust([OTHER, SECRET]).expect("secrets");
    assert_eq!(world.status("msg_3").await, Some(204), "one of its secrets is enough");
    let none: [&str; 0] = [];
    world.hook.trust(none).expect("no secrets");
    assert_eq!(world.status("msg_4").await, Some(401), "without a secret nothing is believed");
    let error = world.hook.trust(["whsec_!!!"]).expect_err("no secret").to_string();
    assert!(!error.contains("!!!"), "{error}");
    let books = world.hook.books();
    assert_eq!((books.accepted(), books.refused(), books.arrivals.len()), (2, 6, 8), "{}", books.summary());
}

#[tokio::test]
async fn books_tell_what_was_taken_whatever_was_answered() {
    let world = World::new().await;
    let short = Duration::from_millis(20);
    world.hook.mood(Mood { hang: short, slow: short, ..Mood::good() });
    world.hook.next(Behaviour::ALL);
    let mut answers = Vec::new();
    for _ in Behaviour::ALL {
        answers.push(world.status("msg_1").await);
    }
    assert_eq!(answers, [Some(204), Some(410), Some(500), None, Some(204), None]);
    let books = world.hook.books();
    use Verdict::{Accepted, Duplicate, TurnedAway};
    let verdicts: Vec<Verdict> = books.arrivals.iter().map(|arrival| arrival.verdict).collect();
    assert_eq!(verdicts, [Accepted, TurnedAway, TurnedAway, TurnedAway, Duplicate, Duplicate]);
    assert!(Behaviour::ALL.into_iter().all(|behaviour| books.behaved(behaviour) == 1));
    assert_eq!(world.status("msg_1").await, Some(204), "and then its mood counts again");
    world.hook.mood(Mood::always(Behaviour::Gone));
    assert_eq!(world.status("msg_2").await, Some(410));
    assert_eq!(world.hook.books().duplicates(), 3);
}

#[tokio::test]
async fn waiting_ends_when_the_books_are_as_wanted_and_says_what_is_missing() {
    let world = World::new().await;
    let waiting = world.hook.wait(Duration::from_secs(10), |books| books.accepted() == 2);
    let sending = async { (world.status("msg_1").await, world.status("msg_2").await) };
    let (books, _) = tokio::join!(waiting, sending);
    assert_eq!(books.expect("two").accepted(), 2);
    let missing = world.hook.wait(Duration::from_millis(10), |books| books.accepted() == 3).await.expect_err("two");
    assert!(missing.contains("2 accepted"), "{missing}");
}

#[tokio::test]
async fn a_mixed_mood_does_everything_but_go_away() {
    let world = World::new().await;
    let short = Duration::from_millis(1);
    world.hook.mood(Mood { hang: short, slow: short, ..Mood::mixed(7) });
    for n in 0..400 {
        world.status(&format!("msg_{n}")).await;
    }
    let books = world.hook.books();
    for behaviour in Behaviour::ALL {
        assert_eq!(books.behaved(behaviour) == 0, behaviour == Behaviour::Gone, "{behaviour:?}");
    }
    assert_eq!(books.accepted() + books.turned_away(), 400);
}
