//! The Haul of the demo: this program again, as `haul up`, in a directory of its own.

use super::{
    api::Api,
    customers::SENDER,
    parties::{EVENT_SECRET, Parties},
};
use anyhow::{Context, bail};
use std::{
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

const READY_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How much of its log is told when it does not come up.
const TOLD_BYTES: usize = 2_000;

/// A running `haul up`. Dropping it kills it.
pub(super) struct Platform {
    environment: Vec<(&'static str, String)>,
    log: PathBuf,
    api: Api,
    process: Child,
}

impl Platform {
    /// A port for it.
    pub(super) fn free_port() -> anyhow::Result<u16> {
        Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?.local_addr()?.port())
    }

    /// Starts it and waits until it is ready.
    pub(super) async fn start(directory: &Path, port: u16, parties: &Parties) -> anyhow::Result<Self> {
        let provider = &parties.provider;
        let environment = vec![
            ("HAUL_LISTEN", format!("127.0.0.1:{port}")),
            ("HAUL_DATA", directory.join("data").display().to_string()),
            ("HAUL_LOG_FILTER", "warn".to_owned()),
            ("HAUL_PAYMENTS_URL", provider.url()),
            ("HAUL_PAYMENTS_TIMEOUT", "1s".to_owned()),
            ("HAUL_SECRET_STRIPE_KEY", provider.secret_key().to_owned()),
            ("HAUL_PAYMENTS_WEBHOOK_SECRET", "stripe-events".to_owned()),
            ("HAUL_SECRET_STRIPE_EVENTS", EVENT_SECRET.to_owned()),
            ("HAUL_EMAIL_URL", format!("smtp+plain://127.0.0.1:{}", parties.mail.port())),
            ("HAUL_EMAIL_FROM", SENDER.to_owned()),
            ("HAUL_OUTGOING_TIMEOUT", "3s".to_owned()),
            // Nobody waits a minute at a demo.
            ("HAUL_JOBS_RETRY_BASE", "100ms".to_owned()),
            ("HAUL_JOBS_RETRY_CAP", "1s".to_owned()),
            ("HAUL_JOBS_MAX_ATTEMPTS", "60".to_owned()),
            // Nor until everyone is back, when a breaker has opened for a moment.
            ("HAUL_PACE_RETURNS", "1000".to_owned()),
        ];
        let log = directory.join("haul.log");
        let api = Api::new(format!("http://127.0.0.1:{port}"))?;
        let process = spawn(&environment, &log)?;
        let mut platform = Self { environment, log, api, process };
        platform.wait_ready().await?;
        Ok(platform)
    }

    /// A client of it.
    pub(super) fn api(&self) -> Api {
        self.api.clone()
    }

    /// `kill -9`, and the same again.
    pub(super) async fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.process.kill().await.context("it cannot be killed")?;
        self.process = spawn(&self.environment, &self.log)?;
        self.wait_ready().await
    }

    async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + READY_MAX;
        while !self.api.is_ready().await {
            if let Some(status) = self.process.try_wait()? {
                bail!("Haul ended with {status}:\n{}", self.last_words());
            }
            if Instant::now() >= end {
                bail!("Haul is not ready after {READY_MAX:?}:\n{}", self.last_words());
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(TOLD_BYTES)..]).into_owned()
    }
}

fn spawn(environment: &[(&'static str, String)], log: &Path) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(log).context("no log")?;
    let program = std::env::current_exe().context("this program's file is unknown")?;
    let mut command = Command::new(program);
    command.arg("up").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    // Settings that this program was started with are about another Haul.
    command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    command.spawn().context("`haul up` did not start")
}
