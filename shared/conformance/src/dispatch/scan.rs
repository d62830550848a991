//! Scans: every ticket that stays is met, whatever the others do.

use super::stage::{KINDS, LONG, PAUSED, SHORT, Stage, all_kinds, ids, kind, priority};
use haul_core::{
    JobId, Kind,
    dispatch::{Lease, Next, Place, ScanCursor, Seen, Ticket},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Pages that a scan of the suite may take at most.
const PAGES_MAX: usize = 5_000;

pub async fn every_ticket_is_seen_where_it_is(stage: Stage) {
    let mut expected = BTreeMap::new();
    let ready: Vec<Ticket> =
        (0..30).map(|n| Ticket { priority: priority(n % 10), ..stage.ticket(KINDS[usize::from(n) % 3]) }).collect();
    stage.enqueue(&ready).await;
    let held = stage.claim(9).await;
    expected.extend(ready.iter().map(|ticket| (ticket.id, Place::Ready)));
    expected.extend(held.iter().map(|lease| (lease.id, Place::Leased { expired_for: None })));
    let delayed: Vec<Ticket> = (1..=20).map(|n| stage.ticket_due_in(KINDS[n as usize % 3], LONG * n)).collect();
    stage.enqueue(&delayed).await;
    expected.extend(delayed.iter().map(|ticket| (ticket.id, Place::Delayed)));
    for limit in [1, 2, 7, 1_000] {
        let seen = stage.scan(limit).await;
        assert_eq!(seen.len(), expected.len(), "each once, as nothing moves: {seen:?}");
        let places: BTreeMap<JobId, Place> = seen.iter().map(|seen| (seen.id, seen.place)).collect();
        assert_eq!(places, expected, "by {limit}");
        let kinds: BTreeMap<JobId, Kind> = seen.into_iter().map(|seen| (seen.id, seen.kind)).collect();
        assert!(ready.iter().chain(&delayed).all(|ticket| kinds.get(&ticket.id) == Some(&ticket.kind)));
    }
}

pub async fn a_scan_of_nothing_ends(stage: Stage) {
    assert_eq!(stage.scan(10).await, []);
    let unknown = stage.other_queue("unknown");
    let page = stage.dispatch.scan(&unknown, &all_kinds(), None, 10).await.expect("an unknown queue is scanned");
    assert_eq!(page.tickets, []);
    stage.enqueued().await;
    let page = stage.dispatch.scan(&stage.queue, &[], None, 10).await.expect("no kinds are scanned");
    assert!(page.tickets.is_empty() && page.next.is_none());
    assert_eq!(stage.scan(0).await.len(), 1, "a limit of nothing still goes on");
}

pub async fn a_scan_is_of_the_kinds_asked_for(stage: Stage) {
    let tickets = ["a", "b", "c", "b"].map(|name| stage.ticket(name));
    stage.enqueue(&tickets).await;
    stage.enqueue(&[stage.ticket_due_in("a", LONG)]).await;
    let mut scan = Scan::of(&stage, &[kind("b")], 1);
    while scan.page().await {}
    assert_eq!(scan.ids(), BTreeSet::from([tickets[1].id, tickets[3].id]));
}

pub async fn a_scan_knows_very_many_kinds(stage: Stage) {
    let kinds: Vec<Kind> = (0..300).map(|n| kind(&format!("kind.{n}"))).collect();
    let tickets: Vec<Ticket> =
        [0, 7, 150, 299].iter().map(|n: &usize| Ticket { kind: kinds[*n].clone(), ..stage.ticket("a") }).collect();
    stage.enqueue(&tickets).await;
    let mut scan = Scan::of(&stage, &kinds, 100);
    while scan.page().await {}
    assert_eq!(scan.ids(), ids(&tickets).into_iter().collect());
}

pub async fn a_page_holds_no_more_than_its_limit(stage: Stage) {
    stage.enqueue(&stage.tickets("a", 20)).await;
    let delayed: Vec<Ticket> = (0..20).map(|_| stage.ticket_due_in("b", LONG)).collect();
    stage.enqueue(&delayed).await;
    stage.claim(10).await;
    let mut scan = Scan::of(&stage, &all_kinds(), 6);
    while scan.page().await {
        assert!(scan.last_page <= 6, "{} where 6 were asked for", scan.last_page);
    }
    assert_eq!(scan.ids().len(), 40);
}

pub async fn an_expired_lease_tells_for_how_long(stage: Stage) {
    let ticket = stage.enqueued().await;
    stage.claim_for(1, SHORT).await;
    let since = crate::eventually("a lease expires", async || match stage.scan(10).await[..] {
        [Seen { place: Place::Leased { expired_for }, .. }] => expired_for,
        ref other => panic!("nobody claims, so it stays leased: {other:?}"),
    })
    .await;
    assert!(since < Duration::from_secs(30), "it expired just now: {since:?}");
    crate::eventually("it goes on expiring", async || match stage.scan(10).await[..] {
        [Seen { place: Place::Leased { expired_for: Some(now) }, .. }] => (now > since).then_some(()),
        ref other => panic!("nobody claims, so it stays leased: {other:?}"),
    })
    .await;
    assert_eq!(stage.claim_ids(1).await, [ticket.id], "it is claimed as a suspect");
}

pub async fn what_came_back_by_expiry_is_seen_as_ready(stage: Stage) {
    let tickets = stage.tickets("a", 2);
    stage.enqueue(&tickets).await;
    stage.claim_for(2, SHORT).await;
    // The claim of one brings both back.
    let (one, _) = stage.claim_one("a suspect").await;
    let places: BTreeMap<JobId, Place> = stage.scan(1).await.iter().map(|seen| (seen.id, seen.place)).collect();
    let other = tickets.iter().find(|ticket| ticket.id != one.id).expect("there are two");
    assert_eq!(places.get(&one.id), Some(&Place::Leased { expired_for: None }));
    assert_eq!(places.get(&other.id), Some(&Place::Ready));
}

pub async fn a_scan_changes_nothing(stage: Stage) {
    let tickets = stage.tickets("a", 5);
    stage.enqueue(&tickets).await;
    let held = stage.claim(2).await;
    stage.enqueue(&[stage.ticket_due_in("b", LONG)]).await;
    let before = stage.stats().await;
    for limit in [1, 100] {
        stage.scan(limit).await;
        assert_eq!(stage.stats().await, before);
    }
    assert_eq!(stage.extend(&held, LONG).await, [true, true]);
    assert_eq!(stage.claim_ids(10).await, ids(&tickets[2..]), "they come in their order");
}

pub async fn what_waits_is_seen_while_others_are_taken_at_the_head(stage: Stage) {
    let tickets = stage.tickets("a", 600);
    stage.enqueue(&tickets).await;
    let mut scan = Scan::of(&stage, &all_kinds(), 50);
    let mut taken = BTreeSet::new();
    while scan.page().await {
        let held = stage.claim(20).await;
        taken.extend(held.iter().map(|lease| lease.id));
        stage.settle(&held, Next::Done).await;
    }
    scan.has_seen(tickets.iter().map(|ticket| ticket.id).filter(|id| !taken.contains(id)));
    assert!(taken.len() < tickets.len(), "some stayed");
}

pub async fn what_waits_is_seen_while_others_come(stage: Stage) {
    let tickets = stage.tickets("a", 500);
    stage.enqueue(&tickets).await;
    let mut scan = Scan::of(&stage, &all_kinds(), 50);
    while scan.page().await {
        stage.enqueue(&stage.tickets("a", 20)).await;
        // To the front, too.
        let held = stage.claim(3).await;
        stage.settle(&held, Next::Release).await;
    }
    scan.has_seen(ids(&tickets));
}

pub async fn a_ticket_that_goes_forward_meanwhile_is_seen(stage: Stage) {
    let ready = stage.tickets("a", 300);
    stage.enqueue(&ready).await;
    // They become due while the scan goes on.
    let delayed: Vec<Ticket> = (1..=100).map(|n| stage.ticket_due_in("a", Duration::from_millis(n))).collect();
    stage.enqueue(&delayed).await;
    let mut scan = Scan::of(&stage, &all_kinds(), 20);
    while scan.page().await {
        stage.claim(30).await;
    }
    scan.has_seen(ids(&ready).into_iter().chain(ids(&delayed)));
}

pub async fn what_is_delayed_is_seen_while_others_are_removed(stage: Stage) {
    // Half of them due at the same time, as after a provider's outage.
    let later = stage.later();
    let due = |n: u32| if n.is_multiple_of(2) { later } else { later.plus(LONG * n) };
    let ticket = |n: u32| Ticket { due: Some(due(n)), ..stage.ticket("a") };
    let tickets: Vec<Ticket> = (0..400).map(ticket).collect();
    stage.enqueue(&tickets).await;
    let mut scan = Scan::of(&stage, &all_kinds(), 10);
    let (mut removed, mut order) = (BTreeSet::new(), ids(&tickets));
    order.reverse();
    while scan.page().await {
        // Of those that were seen and of those that were not, the one that was read last among them.
        let seen = scan.seen.last().map(|seen| seen.id);
        let others = order.iter().filter(|id| !removed.contains(*id)).step_by(40).copied();
        let gone: Vec<(Kind, JobId)> =
            seen.into_iter().chain(others.collect::<Vec<_>>()).map(|id| (kind("a"), id)).collect();
        removed.extend(gone.iter().map(|(_, id)| *id));
        stage.dispatch.remove(&stage.queue, &gone).await.expect("tickets are removed");
    }
    scan.has_seen(tickets.iter().map(|ticket| ticket.id).filter(|id| !removed.contains(id)));
    assert!(removed.len() < tickets.len(), "some stayed");
}

pub async fn what_is_leased_is_seen_while_others_end(stage: Stage) {
    stage.enqueue(&stage.tickets("a", 400)).await;
    let mut held = stage.claim(400).await;
    let all: Vec<JobId> = held.iter().map(|lease| lease.id).collect();
    let mut scan = Scan::of(&stage, &all_kinds(), 10);
    let mut ended = BTreeSet::new();
    while scan.page().await {
        let last = scan.seen.last().map(|seen| seen.id);
        let ends = |(n, lease): &(usize, &Lease)| n % 30 == 0 || Some(lease.id) == last;
        let gone: Vec<Lease> = held.iter().enumerate().filter(ends).map(|(_, lease)| lease.clone()).collect();
        ended.extend(gone.iter().map(|lease| lease.id));
        stage.settle(&gone, Next::Done).await;
        held.retain(|lease| !ended.contains(&lease.id));
        // Most of them last longer meanwhile.
        let (_, extended) = held.split_at(held.len() / 4);
        assert!(stage.extend(extended, LONG + LONG).await.iter().all(|held| *held));
    }
    scan.has_seen(all.into_iter().filter(|id| !ended.contains(id)));
    assert!(!held.is_empty(), "some stayed");
}

pub async fn a_paused_queue_is_scanned_and_a_lost_one_too(stage: Stage) {
    let ticket = stage.enqueued().await;
    stage.dispatch.configure(&stage.queue, &PAUSED).await.expect("a queue is paused");
    assert_eq!(stage.scan(10).await.len(), 1);
    let held = stage.other_queue("lost");
    stage.dispatch.enqueue(&held, std::slice::from_ref(&ticket)).await.expect("a lost queue takes tickets");
    let page = stage.dispatch.scan(&held, &all_kinds(), None, 10).await.expect("a lost queue is scanned");
    assert_eq!(page.tickets.len(), 1);
}

/// A scan under way.
struct Scan<'a> {
    stage: &'a Stage,
    kinds: Vec<Kind>,
    limit: usize,
    cursor: Option<ScanCursor>,
    pages: usize,
    last_page: usize,
    seen: Vec<Seen>,
}

impl<'a> Scan<'a> {
    fn of(stage: &'a Stage, kinds: &[Kind], limit: usize) -> Self {
        Self { stage, kinds: kinds.to_vec(), limit, cursor: None, pages: 0, last_page: 0, seen: Vec::new() }
    }

    /// Reads one page. Whether more follow.
    async fn page(&mut self) -> bool {
        let Stage { dispatch, queue, .. } = self.stage;
        let page = dispatch.scan(queue, &self.kinds, self.cursor.as_ref(), self.limit).await;
        let page = page.expect("a queue is scanned");
        self.pages += 1;
        assert!(self.pages < PAGES_MAX, "a scan ends");
        self.last_page = page.tickets.len();
        self.seen.extend(page.tickets);
        self.cursor = page.next;
        self.cursor.is_some()
    }

    fn ids(&self) -> BTreeSet<JobId> {
        self.seen.iter().map(|seen| seen.id).collect()
    }

    fn has_seen(&self, ids: impl IntoIterator<Item = JobId>) {
        let seen = self.ids();
        let missed: Vec<JobId> = ids.into_iter().filter(|id| !seen.contains(id)).collect();
        assert!(missed.is_empty(), "{} were missed: {missed:?}", missed.len());
    }
}

impl Stage {
    /// A whole scan of all kinds.
    async fn scan(&self, limit: usize) -> Vec<Seen> {
        let mut scan = Scan::of(self, &all_kinds(), limit);
        while scan.page().await {}
        scan.seen
    }
}
