//! Templates: files that the operator provides, filled with what the payload says.
//!
//! A payload names a template, it does not bring one: what a submitter writes is data only, escaped in HTML. A variable that
//! is not given fails the job. Templates include nothing else, and are bounded in steps and in what they put out.

use super::payload::Mail;
use haul_worker::HandlerError;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    path::PathBuf,
};

/// The largest template, and the most that one may put out, in bytes.
const TEMPLATE_BYTES_MAX: u64 = 256 * 1_024;
const OUTPUT_BYTES_MAX: usize = 1_024 * 1_024;
/// Steps that one template may take.
const FUEL: u64 = 1_000_000;
const NAME_BYTES_MAX: usize = 64;

/// Where templates are.
pub(super) struct Templates(Option<PathBuf>);

/// What a message says.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) subject: String,
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
}

impl Templates {
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self(directory)
    }

    /// The message's texts: its own, and its template's where it has none.
    pub(super) async fn texts(&self, mail: &Mail) -> Result<Texts, HandlerError> {
        let (mut subject, mut text, mut html) = (mail.subject.clone(), mail.text.clone(), mail.html.clone());
        match &mail.template {
            Some(name) => {
                if subject.is_none() {
                    subject = self.fill(name, "subject.txt", &mail.variables).await?;
                    // A file's last line ends, a subject does not.
                    subject = subject.map(|subject| subject.trim_end_matches(['\r', '\n']).to_owned());
                }
                if text.is_none() {
                    text = self.fill(name, "txt", &mail.variables).await?;
                }
                if html.is_none() {
                    html = self.fill(name, "html", &mail.variables).await?;
                }
            }
            None if !mail.variables.is_empty() => {
                return Err(HandlerError::do_not_retry("`variables` are for a `template`, which is not given"));
            }
            None => {}
        }
        let Some(subject) = subject else {
            return Err(HandlerError::do_not_retry(
                "the message has no subject: give `subject`, or a template with one",
            ));
        };
        if text.is_none() && html.is_none() {
            return Err(HandlerError::do_not_retry("the message says nothing: give `text`, `html` or a `template`"));
        }
        Ok(Texts { subject, text, html })
    }

    async fn fill(
        &self,
        name: &str,
        part: &str,
        variables: &BTreeMap<String, Value>,
    ) -> Result<Option<String>, HandlerError> {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_name) {
            return Err(HandlerError::do_not_retry("`template` is a name of letters, digits, `-` and `_`"));
        }
        let Some(directory) = &self.0 else {
            // An operator may set it meanwhile; so, too, with what is missing there.
            return Err(HandlerError::retry("there are no templates: set email.templates for the worker"));
        };
        let (file, path) = (format!("{name}.{part}"), directory.join(format!("{name}.{part}")));
        let source = match tokio::task::spawn_blocking(move || read(path)).await.map_err(io::Error::other).flatten() {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(HandlerError::retry(format!("the template {file} cannot be read: {error}"))),
        };
        let (variables, escaped) = (variables.clone(), part == "html");
        let filling = tokio::task::spawn_blocking(move || render(&source, &variables, escaped));
        let filled = filling.await.map_err(io::Error::other)?;
        // A template's error may quote a variable's value: its kind and its line say enough.
        filled.map(Some).map_err(|error| {
            let line = error.line().map(|line| format!(", line {line}")).unwrap_or_default();
            HandlerError::do_not_retry(format!("the template {file}{line}: {}", error.kind()))
        })
    }
}

fn read(path: PathBuf) -> io::Result<String> {
    let mut source = String::new();
    let read = File::open(path)?.take(TEMPLATE_BYTES_MAX + 1).read_to_string(&mut source)?;
    if read as u64 > TEMPLATE_BYTES_MAX { Err(io::Error::other("it is larger than 256 KiB")) } else { Ok(source) }
}

fn render(source: &str, variables: &BTreeMap<String, Value>, escaped: bool) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(move |_| if escaped { AutoEscape::Html } else { AutoEscape::None });
    environment.set_keep_trailing_newline(true);
    let mut output = Capped(Vec::new());
    environment.template_from_str(source)?.render_captured_to(variables, &mut output)?;
    Ok(String::from_utf8_lossy(&output.0).into_owned())
}

/// Takes so much, and no more.
struct Capped(Vec<u8>);

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_BYTES_MAX {
            return Err(io::Error::other("it puts out more than 1 MiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn texts(files: &[(&str, &str)], payload: Value) -> Result<Texts, String> {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        let mut mail = json!({"to": "a@example.com"});
        mail.as_object_mut().unwrap().extend(payload.as_object().unwrap().clone());
        let templates = Templates::new(Some(directory.path().to_owned()));
        templates.texts(&serde_json::from_value(mail).unwrap()).await.map_err(|error| error.to_string())
    }

    const FILES: &[(&str, &str)] = &[
        ("hello.subject.txt", "Hello {{ name }}\n"),
        ("hello.txt", "Dear {{ name }},\n{% for item in items %}- {{ item }}\n{% endfor %}"),
        ("hello.html", "<p>{{ name }}</p>"),
        ("endless.txt", "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}"),
        ("large.txt", "{% for a in range(9999) %}{{ long }}{% endfor %}"),
        ("other.txt", "{% include 'hello.txt' %}"),
    ];

    #[tokio::test]
    async fn a_template_is_filled_and_html_is_escaped() {
        let payload = json!({"template": "hello", "variables": {"name": "<A & B>", "items": [1, "two"]}});
        let texts = texts(FILES, payload).await.unwrap();
        assert_eq!(texts.subject, "Hello <A & B>");
        assert_eq!(texts.text.unwrap(), "Dear <A & B>,\n- 1\n- two\n");
        assert_eq!(texts.html.unwrap(), "<p>&lt;A &amp; B&gt;</p>");
    }

    #[tokio::test]
    async fn what_a_payload_says_itself_wins_and_is_no_template() {
        let payload = json!({"subject": "{{ x }}", "text": "{% raw", "html": "<b>{{ y }}</b>"});
        let texts = texts(FILES, payload).await.unwrap();
        assert_eq!((texts.subject.as_str(), texts.text.as_deref()), ("{{ x }}", Some("{% raw")));
        assert_eq!(texts.html.as_deref(), Some("<b>{{ y }}</b>"));
    }

    #[tokio::test]
    async fn bad_templates_and_missing_variables_are_told_without_values() {
        let long = "hush".repeat(100);
        for (payload, words) in [
            (json!({"template": "hello", "variables": {"name": "hush"}}), "undefined"),
            (json!({"template": "endless", "subject": "x"}), "fuel"),
            (json!({"template": "large", "subject": "x", "variables": {"long": long}}), "write"),
            (json!({"template": "other", "subject": "x", "variables": {"name": "hush"}}), "syntax error"),
            (json!({"template": "../hello"}), "letters, digits"),
            (json!({"template": "nothing", "subject": "x"}), "says nothing"),
            (json!({"template": "nothing"}), "no subject"),
            (json!({"text": "x"}), "no subject"),
            (json!({"subject": "x"}), "says nothing"),
            (json!({"subject": "x", "text": "x", "variables": {"name": "hush"}}), "`variables`"),
        ] {
            let error = texts(FILES, payload.clone()).await.map(|texts| format!("{texts:?}")).unwrap_err();
            assert!(error.contains(words) && !error.contains("hush"), "{payload}: {error}");
        }
    }
}
