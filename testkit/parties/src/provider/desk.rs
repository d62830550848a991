//! What the provider does when it is asked: the one place that moves amounts.

use super::books::{Books, Movement, Operation};
use super::form::Form;
use super::keys::Keys;
use super::objects::{Answer, Intent, Refund, Refusal, Status, decline};
use super::webhooks::{Courier, Told};
use super::{Fault, now_ms};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// Events that are kept to be listed.
const EVENTS_MAX: usize = 10_000;
/// The most objects on one page.
const PAGE_MAX: usize = 100;
/// The largest amount of one charge.
const AMOUNT_MAX: u64 = 99_999_999;

const CREATE: [&str; 14] = [
    "amount",
    "automatic_payment_methods[]",
    "capture_method",
    "confirm",
    "currency",
    "customer",
    "description",
    "error_on_requires_action",
    "expand[]",
    "metadata[]",
    "off_session",
    "payment_method",
    "payment_method_types[]",
    "transfer_group",
];

/// A request that is to be carried out.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) is_post: bool,
    /// Without the query.
    pub(super) path: String,
    /// The body's parameters, or the query's.
    pub(super) form: Form,
    pub(super) idempotency_key: String,
}

/// Everything that the provider knows.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) books: Books,
    pub(super) keys: Keys,
    search_lag: Duration,
    courier: Option<Courier>,
    intents: Vec<Intent>,
    intent_by_id: HashMap<String, usize>,
    refunds: Vec<Refund>,
    events: VecDeque<Value>,
    sends: HashMap<String, u64>,
    serial: u64,
}

impl Desk {
    pub(super) fn new(key_window: Duration, search_lag: Duration, courier: Option<Courier>) -> Self {
        Self {
            books: Books::default(),
            keys: Keys::new(key_window),
            search_lag,
            courier,
            intents: Vec::new(),
            intent_by_id: HashMap::new(),
            refunds: Vec::new(),
            events: VecDeque::new(),
            sends: HashMap::new(),
            serial: 0,
        }
    }

    pub(super) fn key_window(&mut self, window: Duration) {
        self.keys.window(window);
    }

    pub(super) fn tell_there(&mut self, courier: Courier) {
        self.events.iter().for_each(|event| courier.send(event.to_string()));
        self.courier = Some(courier);
    }

    pub(super) fn told(&self) -> Told {
        self.courier.as_ref().map(Courier::told).unwrap_or_default()
    }

    /// How many requests of this name came before.
    pub(super) fn count(&mut self, name: &str) -> u64 {
        self.books.requests += 1;
        let sends = self.sends.entry(name.to_owned()).or_default();
        *sends += 1;
        *sends - 1
    }

    pub(super) fn struck(&mut self, fault: Fault) {
        *self.books.faults.entry(fault).or_default() += 1;
    }

    /// Carries it out.
    pub(super) fn perform(&mut self, request: &Request, fault: Option<Fault>) -> Result<Answer, Refusal> {
        let path: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let object = match (request.is_post, path.as_slice()) {
            (true, ["v1", "payment_intents"]) => self.create_intent(request, fault)?,
            (true, ["v1", "payment_intents", id, "confirm"]) => self.confirm(id, request, fault)?,
            (true, ["v1", "payment_intents", id, "capture"]) => self.capture(id, request)?,
            (true, ["v1", "payment_intents", id, "cancel"]) => self.cancel(id, request)?,
            (true, ["v1", "refunds"]) => self.create_refund(request)?,
            (false, ["v1", "payment_intents"]) => self.list_intents(&request.form)?,
            (false, ["v1", "payment_intents", "search"]) => self.search_intents(&request.form)?,
            (false, ["v1", "payment_intents", id]) => self.intents[self.intent(id)?].json(),
            (false, ["v1", "charges"]) => self.list_charges(&request.form)?,
            (false, ["v1", "refunds"]) => self.list_refunds(&request.form)?,
            (false, ["v1", "refunds", id]) => self
                .refunds
                .iter()
                .find(|refund| refund.id == *id)
                .ok_or_else(|| Refusal::missing("refund", id))?
                .json(),
            (false, ["v1", "events"]) => page(self.events.iter().rev().cloned(), &request.form, &request.path)?,
            _ => {
                let message = format!("Unrecognized request URL ({})", request.path);
                return Err(Refusal::new(404, "invalid_request_error", None, message));
            }
        };
        Ok(Answer::ok(&object))
    }

    fn create_intent(&mut self, request: &Request, fault: Option<Fault>) -> Result<Value, Refusal> {
        let form = &request.form;
        known(form, &CREATE)?;
        let amount = amount(form, "amount")?.ok_or_else(|| missing("amount"))?;
        let currency = form.get("currency").ok_or_else(|| missing("currency"))?.to_ascii_lowercase();
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
            let message = format!("Invalid currency: {currency}");
            return Err(Refusal::parameter("currency", "parameter_invalid_string", message));
        }
        let is_manual = match form.get("capture_method") {
            None | Some("automatic" | "automatic_async") => false,
            Some("manual") => true,
            Some(_) => {
                return Err(Refusal::parameter("capture_method", "parameter_invalid_string", "Invalid capture_method"));
            }
        };
        let payment_method = form.get("payment_method").map(str::to_owned);
        if payment_method.as_deref().is_some_and(|token| !token.starts_with("pm_")) {
            return Err(Refusal::parameter("payment_method", "resource_missing", "No such PaymentMethod"));
        }
        if form.is_true("confirm") && payment_method.is_none() {
            return Err(missing("payment_method"));
        }
        let id = self.new_id("pi");
        let intent = Intent {
            id: id.clone(),
            created_ms: now_ms(),
            amount,
            currency,
            status: Status::RequiresConfirmation,
            is_manual,
            payment_method,
            metadata: form.metadata(),
            transfer_group: form.get("transfer_group").map(str::to_owned),
            received: 0,
            refunded: 0,
            decline: None,
        };
        self.intent_by_id.insert(id.clone(), self.intents.len());
        self.intents.push(intent);
        if form.is_true("confirm") {
            return self.confirm(&id, request, fault);
        }
        Ok(self.intents[self.intent(&id)?].json())
    }

    fn confirm(&mut self, id: &str, request: &Request, fault: Option<Fault>) -> Result<Value, Refusal> {
        let at = self.intent(id)?;
        let intent = &mut self.intents[at];
        if !matches!(intent.status, Status::RequiresConfirmation | Status::RequiresPaymentMethod) {
            return Err(unexpected(intent));
        }
        let token = request.form.get("payment_method").or(intent.payment_method.as_deref()).unwrap_or_default();
        let declined = if fault == Some(Fault::Decline) { Some("generic_decline") } else { declined(token) };
        if let Some(code) = declined {
            (intent.status, intent.decline) = (Status::RequiresPaymentMethod, Some(code));
            let (object, charge) = (intent.json(), intent.charge_id());
            self.books.declined += 1;
            self.tell("payment_intent.payment_failed", &object, &request.idempotency_key);
            return Err(card_error(code, &charge, object));
        }
        let operation = if intent.is_manual {
            intent.status = Status::RequiresCapture;
            Operation::Authorize
        } else {
            (intent.status, intent.received) = (Status::Succeeded, intent.amount);
            Operation::Charge
        };
        let kind =
            if intent.is_manual { "payment_intent.amount_capturable_updated" } else { "payment_intent.succeeded" };
        let (object, amount) = (intent.json(), intent.amount);
        self.book(at, operation, id, amount, None, request);
        self.tell(kind, &object, &request.idempotency_key);
        Ok(object)
    }

    fn capture(&mut self, id: &str, request: &Request) -> Result<Value, Refusal> {
        known(&request.form, &["amount_to_capture", "metadata[]"])?;
        let wanted = amount(&request.form, "amount_to_capture")?;
        let at = self.intent(id)?;
        let intent = &mut self.intents[at];
        if intent.status != Status::RequiresCapture {
            return Err(unexpected(intent));
        }
        let amount = wanted.unwrap_or(intent.amount);
        if amount > intent.amount {
            let message = "You cannot capture more than was authorized.";
            return Err(Refusal::new(400, "invalid_request_error", Some("amount_too_large"), message));
        }
        (intent.status, intent.received) = (Status::Succeeded, amount);
        intent.metadata.extend(request.form.metadata());
        let object = intent.json();
        self.book(at, Operation::Capture, id, amount, None, request);
        self.tell("payment_intent.succeeded", &object, &request.idempotency_key);
        Ok(object)
    }

    fn cancel(&mut self, id: &str, request: &Request) -> Result<Value, Refusal> {
        let at = self.intent(id)?;
        let intent = &mut self.intents[at];
        let (was, amount) = (intent.status, intent.amount);
        if matches!(was, Status::Canceled | Status::Succeeded) {
            return Err(unexpected(intent));
        }
        intent.status = Status::Canceled;
        let object = intent.json();
        if was == Status::RequiresCapture {
            self.book(at, Operation::Cancel, id, amount, None, request);
        }
        self.tell("payment_intent.canceled", &object, &request.idempotency_key);
        Ok(object)
    }

    fn create_refund(&mut self, request: &Request) -> Result<Value, Refusal> {
        known(&request.form, &["amount", "payment_intent", "reason", "metadata[]"])?;
        let wanted = amount(&request.form, "amount")?;
        let intent_id = request.form.get("payment_intent").ok_or_else(|| missing("payment_intent"))?.to_owned();
        let at = self.intent(&intent_id)?;
        let id = self.new_id("re");
        let intent = &mut self.intents[at];
        if intent.status != Status::Succeeded {
            return Err(unexpected(intent));
        }
        let left = intent.received - intent.refunded;
        let amount = wanted.unwrap_or(left);
        if left == 0 || amount > left {
            let (code, message) = if left == 0 {
                (Some("charge_already_refunded"), "The charge has already been refunded.")
            } else {
                (None, "Refund amount is greater than unrefunded amount on charge.")
            };
            return Err(Refusal::new(400, "invalid_request_error", code, message));
        }
        intent.refunded += amount;
        let refund = Refund {
            id: id.clone(),
            created_ms: now_ms(),
            intent: intent_id,
            amount,
            currency: intent.currency.clone(),
            metadata: request.form.metadata(),
        };
        let (object, metadata) = (refund.json(), refund.metadata.clone());
        self.refunds.push(refund);
        self.book(at, Operation::Refund, &id, amount, Some(metadata), request);
        self.tell("charge.refunded", &object, &request.idempotency_key);
        Ok(object)
    }

    fn list_intents(&self, form: &Form) -> Result<Value, Refusal> {
        known(form, &["created[]", "ending_before", "limit", "starting_after", "expand[]"])?;
        let created = Created::of(form);
        let wanted = self.intents.iter().rev().filter(|intent| created.holds(intent.created_ms));
        page(wanted.map(Intent::json), form, "/v1/payment_intents")
    }

    fn list_charges(&self, form: &Form) -> Result<Value, Refusal> {
        known(form, &["created[]", "limit", "payment_intent", "starting_after", "transfer_group"])?;
        let (created, group, of) = (Created::of(form), form.get("transfer_group"), form.get("payment_intent"));
        let is_wanted = |intent: &&Intent| {
            let is_of_group = group.is_none_or(|group| intent.transfer_group.as_deref() == Some(group));
            created.holds(intent.created_ms) && is_of_group && of.is_none_or(|id| intent.id == id)
        };
        page(self.intents.iter().rev().filter(is_wanted).filter_map(Intent::charge_json), form, "/v1/charges")
    }

    /// `metadata['name']:'value'`, several of them with AND between.
    fn search_intents(&self, form: &Form) -> Result<Value, Refusal> {
        known(form, &["query", "limit", "page", "expand[]"])?;
        let query = form.get("query").ok_or_else(|| missing("query"))?;
        let clause = |text: &str| {
            let (name, value) = text.trim().strip_prefix("metadata[")?.split_once("]:")?;
            let bare = |quoted: &str| quoted.trim_matches(['\'', '"']).to_owned();
            Some((bare(name), bare(value)))
        };
        let clauses: Option<Vec<_>> = query.split(" AND ").map(clause).collect();
        let clauses = clauses
            .ok_or_else(|| Refusal::parameter("query", "parameter_invalid_string", "Only metadata can be searched"))?;
        let seen_to = now_ms().saturating_sub(u64::try_from(self.search_lag.as_millis()).unwrap_or(u64::MAX));
        let is_wanted = |intent: &&Intent| {
            let has = |(name, value): &(String, String)| intent.metadata.get(name) == Some(value);
            intent.created_ms <= seen_to && clauses.iter().all(has)
        };
        let found: Vec<Value> = self.intents.iter().rev().filter(is_wanted).take(PAGE_MAX).map(Intent::json).collect();
        let url = "/v1/payment_intents/search";
        Ok(json!({ "object": "search_result", "data": found, "has_more": false, "next_page": null, "url": url }))
    }

    fn list_refunds(&self, form: &Form) -> Result<Value, Refusal> {
        known(form, &["payment_intent", "limit", "starting_after", "created[]"])?;
        let (created, of) = (Created::of(form), form.get("payment_intent"));
        let is_wanted = |refund: &&Refund| created.holds(refund.created_ms) && of.is_none_or(|id| refund.intent == id);
        page(self.refunds.iter().rev().filter(is_wanted).map(Refund::json), form, "/v1/refunds")
    }

    fn intent(&self, id: &str) -> Result<usize, Refusal> {
        self.intent_by_id.get(id).copied().ok_or_else(|| Refusal::missing("payment_intent", id))
    }

    fn new_id(&mut self, prefix: &str) -> String {
        self.serial += 1;
        format!("{prefix}_{:024}", self.serial)
    }

    fn book(
        &mut self,
        at: usize,
        operation: Operation,
        object: &str,
        amount: u64,
        metadata: Option<BTreeMap<String, String>>,
        request: &Request,
    ) {
        let intent = &self.intents[at];
        self.books.movements.push(Movement {
            at_ms: now_ms(),
            operation,
            object: object.to_owned(),
            intent: intent.id.clone(),
            idempotency_key: request.idempotency_key.clone(),
            metadata: metadata.unwrap_or_else(|| intent.metadata.clone()),
            amount,
            currency: intent.currency.clone(),
        });
    }

    fn tell(&mut self, kind: &str, object: &Value, idempotency_key: &str) {
        let event = json!({
            "id": self.new_id("evt"),
            "object": "event",
            "created": now_ms() / 1_000,
            "data": { "object": object },
            "livemode": false,
            "request": { "idempotency_key": idempotency_key },
            "type": kind,
        });
        if let Some(courier) = &self.courier {
            courier.send(event.to_string());
        }
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

/// When what is listed was made, in seconds.
struct Created {
    from: u64,
    to: u64,
}

impl Created {
    fn of(form: &Form) -> Self {
        let bound = |name: &str| form.get(name).and_then(|text| text.parse::<u64>().ok());
        let from = bound("created[gte]").or(bound("created[gt]").map(|after| after + 1));
        let to = bound("created[lte]").or(bound("created[lt]").map(|before| before.saturating_sub(1)));
        Self { from: from.unwrap_or(0), to: to.unwrap_or(u64::MAX) }
    }

    fn holds(&self, created_ms: u64) -> bool {
        (self.from..=self.to).contains(&(created_ms / 1_000))
    }
}

/// One page of a list, newest first, which goes on after `starting_after`.
fn page(objects: impl Iterator<Item = Value>, form: &Form, url: &str) -> Result<Value, Refusal> {
    let limit = match form.get("limit").map(str::parse::<usize>) {
        None => 10,
        Some(Ok(limit)) if (1..=PAGE_MAX).contains(&limit) => limit,
        Some(_) => return Err(Refusal::parameter("limit", "parameter_invalid_integer", "1 to 100")),
    };
    let mut objects = objects.peekable();
    if let Some(after) = form.get("starting_after") {
        while objects.next_if(|object| object["id"] != after).is_some() {}
        if objects.next().is_none() {
            return Err(Refusal::missing("starting_after", after));
        }
    }
    let data: Vec<Value> = objects.by_ref().take(limit).collect();
    Ok(json!({ "object": "list", "data": data, "has_more": objects.peek().is_some(), "url": url }))
}

/// What tokens of Stripe's own for tests are declined with.
fn declined(token: &str) -> Option<&'static str> {
    [
        ("chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("chargeDeclinedExpiredCard", "expired_card"),
        ("authenticationRequired", "authentication_required"),
        ("chargeDeclined", "generic_decline"),
    ]
    .into_iter()
    .find_map(|(part, code)| token.contains(part).then_some(code))
}

fn card_error(code: &'static str, charge: &str, intent: Value) -> Refusal {
    let inner = decline(code, charge);
    let text = |name: &str| inner[name].as_str().unwrap_or_default().to_owned();
    Refusal::new(402, "card_error", Some(&text("code")), text("message"))
        .noting("decline_code", inner["decline_code"].clone())
        .noting("charge", json!(charge))
        .noting("payment_intent", intent)
}

fn unexpected(intent: &Intent) -> Refusal {
    let message = format!("This PaymentIntent's status is {}: that cannot be done now.", intent.status.name());
    Refusal::new(400, "invalid_request_error", Some("payment_intent_unexpected_state"), message)
        .noting("payment_intent", intent.json())
}

fn missing(name: &str) -> Refusal {
    Refusal::parameter(name, "parameter_missing", format!("Missing required param: {name}."))
}

fn known(form: &Form, names: &[&str]) -> Result<(), Refusal> {
    match form.unknown(names) {
        None => Ok(()),
        Some(name) => Err(Refusal::parameter(name, "parameter_unknown", format!("Received unknown parameter: {name}"))),
    }
}

fn amount(form: &Form, name: &str) -> Result<Option<u64>, Refusal> {
    match form.get(name).map(str::parse::<u64>) {
        None => Ok(None),
        Some(Ok(amount)) if (1..=AMOUNT_MAX).contains(&amount) => Ok(Some(amount)),
        Some(_) => {
            let message = format!("Invalid integer: 1 to {AMOUNT_MAX}");
            Err(Refusal::parameter(name, "parameter_invalid_integer", message))
        }
    }
}
