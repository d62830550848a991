//! `POST /v1/payments`: make a payment.

use super::{PaymentView, Placed};
use crate::{
    app::App,
    fields::{Fields, pointer_of},
    json,
    openapi::NewPayment,
    problem::{FieldError, Problem, ProblemBody, ProblemType},
    query::Query,
};
use axum::{
    extract::{Request, State},
    response::Response,
};
use haul_core::{
    books::Entry,
    payment::{
        Currency, DESCRIPTION_CHARS_MAX, METADATA_MAX, METADATA_NAME_CHARS_MAX, METADATA_VALUE_CHARS_MAX, Money,
        Operation, OperationKind, Payment, PaymentId, SOURCE_CHARS_MAX,
    },
};
use std::{collections::BTreeMap, sync::Arc};

/// Makes a payment.
///
/// It is charged by a job that is made in the same transaction; the payment tells what came of it.
#[utoipa::path(
    post,
    path = "/v1/payments",
    tag = "payments",
    operation_id = "createPayment",
    params(("Idempotency-Key" = String, Header, max_length = 255, description = "Makes repeating safe, for 24 hours.")),
    request_body(content = NewPayment, description = "The payment."),
    responses(
        (status = CREATED, description = "It is committed, and will be charged.", body = PaymentView),
        (status = "4XX", description = "Nothing was accepted.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again, with the same key.", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    Query::none(request.uri().query())?;
    let key = super::key(request.headers())?;
    let body = app.json_body(request).await?;
    let (wanted, idempotency) = {
        let fields = Fields::parse(&body, app.rules.depth_max)?;
        super::no_card_in(&body, &fields)?;
        (read(&fields)?, super::told(&app, key, "/v1/payments", &fields)?)
    };
    let (id, job_id, now) = (PaymentId(app.mint.next().0), app.mint.next(), app.now());
    let charge = Operation::new(1, OperationKind::Charge, wanted.amount.minor(), job_id);
    let payment = Payment {
        id,
        tenant: app.tenant.clone(),
        version: 1,
        amount: wanted.amount,
        capture: wanted.capture,
        source: wanted.source,
        description: wanted.description,
        metadata: wanted.metadata,
        operations: vec![charge],
        created_at: now,
        updated_at: now,
    };
    let job = super::job(&app, job_id, id, 1, OperationKind::Charge)?;
    match super::place(&app, Entry::New(payment), 1, job, idempotency).await? {
        Placed::Done(id, is_replayed) => super::created(&app, id, is_replayed).await,
        Placed::Stale => Err(Problem::internal("a payment was made that is there already")),
    }
}

/// What was asked for.
struct Wanted {
    amount: Money,
    capture: bool,
    source: String,
    description: Option<String>,
    metadata: BTreeMap<String, String>,
}

fn read(fields: &Fields<'_>) -> Result<Wanted, Problem> {
    let mut errors = Vec::new();
    let Fields::Object(members) = fields else {
        errors.push(FieldError::new("", "must be an object"));
        return Err(Problem::with_errors(ProblemType::InvalidRequest, errors));
    };
    let (mut amount, mut currency, mut source, mut description) = (None, None, None, None);
    let (mut capture, mut metadata) = (true, BTreeMap::new());
    for (name, value) in members {
        match (&**name, *value) {
            ("amount", value) => amount = super::amount(value, &mut errors),
            ("description" | "metadata" | "capture", "null") => {}
            ("currency", value) => match json::as_string(value).map(|code| Currency::new(&code)) {
                Some(Ok(known)) => currency = Some(known),
                Some(Err(error)) => errors.push(FieldError::new("/currency", error.to_string())),
                None => errors.push(FieldError::new("/currency", "must be a string")),
            },
            ("source", value) => source = text("/source", value, 1, SOURCE_CHARS_MAX, &mut errors),
            ("description", value) => description = text("/description", value, 0, DESCRIPTION_CHARS_MAX, &mut errors),
            ("capture", "true") => capture = true,
            ("capture", "false") => capture = false,
            ("capture", _) => errors.push(FieldError::new("/capture", "must be true or false")),
            ("metadata", value) => metadata = marks(value, &mut errors),
            (unknown, _) => errors.push(FieldError::new(pointer_of(unknown), "is not a field of a payment")),
        }
    }
    for name in ["amount", "currency", "source"] {
        if !members.iter().any(|(given, _)| given == name) {
            errors.push(FieldError::new(format!("/{name}"), "is required"));
        }
    }
    let money = amount.zip(currency).map(|(amount, currency)| Money::new(amount, currency));
    match (money, source) {
        (Some(Ok(amount)), Some(source)) if errors.is_empty() => {
            Ok(Wanted { amount, capture, source, description, metadata })
        }
        _ => Err(Problem::with_errors(ProblemType::InvalidRequest, errors)),
    }
}

fn text(pointer: &str, value: &str, min: usize, max: usize, errors: &mut Vec<FieldError>) -> Option<String> {
    let Some(text) = json::as_string(value) else {
        errors.push(FieldError::new(pointer, "must be a string"));
        return None;
    };
    if !(min..=max).contains(&text.chars().count()) || text.chars().any(char::is_control) {
        errors.push(FieldError::new(pointer, format!("must have {min} to {max} characters, none a control character")));
        return None;
    }
    Some(text.into_owned())
}

fn marks(value: &str, errors: &mut Vec<FieldError>) -> BTreeMap<String, String> {
    let mut marks = BTreeMap::new();
    // The text was read before: only its type can be wrong.
    let Ok(Fields::Object(members)) = Fields::parse(value.as_bytes(), usize::MAX) else {
        errors.push(FieldError::new("/metadata", "must be an object"));
        return marks;
    };
    if members.len() > METADATA_MAX {
        errors.push(FieldError::new("/metadata", format!("may have at most {METADATA_MAX} names")));
        return marks;
    }
    for (name, value) in members {
        let pointer = format!("/metadata{}", pointer_of(&name));
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if !(1..=METADATA_NAME_CHARS_MAX).contains(&name.len())
            || !name.bytes().all(is_plain)
            || name.starts_with("haul_")
        {
            let detail = "a name has 1 to 40 letters, digits, `_`, `.` and `-`, and does not begin with `haul_`";
            errors.push(FieldError::new(pointer.clone(), detail));
        }
        if let Some(text) = text(&pointer, value, 0, METADATA_VALUE_CHARS_MAX, errors) {
            marks.insert(name.into_owned(), text);
        }
    }
    marks
}
