//! What the tests and checks need, installed where it is missing: servers from Debian's packages, cargo-deny by cargo.
//!
//! Promise: says what it installs and why before it does, and leaves no service running: tests start
//! private servers. It will not touch a program that is there already.

use std::process::Command;

use anyhow::{Context, Result, bail};
use haul_testkit::{place, postgres};

use crate::run::{cargo, root, run};

const CARGO_DENY_VERSION: &str = "0.20.2";

/// Run as root with the packages as arguments.
const INSTALL: &str = r#"
set -eu
export DEBIAN_FRONTEND=noninteractive
install="apt-get install --quiet --yes --no-install-recommends -o DPkg::Lock::Timeout=300"
apt-get update --quiet -o Acquire::Retries=3
# Packages start no service while this file says so.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
fi
case " $* " in *" postgresql "*)
    $install postgresql-common
    settings=/etc/postgresql-common/createcluster.conf
    grep -q '^create_main_cluster = false' $settings || echo 'create_main_cluster = false' >>$settings
esac
$install "$@"
"#;

/// A program from outside, and the Debian package that has it.
#[derive(Clone, Copy)]
pub(crate) enum Tool {
    Postgres,
    Redis,
    Sqlite,
    Curl,
    Faketime,
    Compose,
    Prometheus,
    Jq,
    Openssl,
    Yaml,
}

impl Tool {
    fn is_there(self) -> bool {
        match self {
            Self::Postgres => postgres::is_installed(),
            Self::Redis => ["redis-server", "redis-cli"].iter().all(|program| place::on_path(program).is_some()),
            Self::Sqlite => place::on_path("sqlite3").is_some(),
            Self::Curl => place::on_path("curl").is_some(),
            Self::Faketime => place::on_path("faketime").is_some(),
            Self::Compose => place::on_path("docker-compose").is_some(),
            Self::Prometheus => ["prometheus", "promtool"].iter().all(|program| place::on_path(program).is_some()),
            Self::Jq => place::on_path("jq").is_some(),
            Self::Openssl => place::on_path("openssl").is_some(),
            Self::Yaml => {
                Command::new("python3").args(["-c", "import yaml"]).output().is_ok_and(|it| it.status.success())
            }
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::Redis => "redis-server",
            Self::Sqlite => "sqlite3",
            Self::Curl => "curl",
            Self::Faketime => "faketime",
            Self::Compose => "docker-compose",
            Self::Prometheus => "prometheus",
            Self::Jq => "jq",
            Self::Openssl => "openssl",
            Self::Yaml => "python3-yaml",
        }
    }
}

/// Installs those that are missing.
pub(crate) fn ensure(tools: &[Tool]) -> Result<()> {
    let missing: Vec<Tool> = tools.iter().copied().filter(|tool| !tool.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.iter().map(|tool| tool.package()).collect::<Vec<_>>().join(" ");
    if place::on_path("apt-get").is_none() {
        bail!("missing, and there is no apt-get to install it with: {packages} (Postgres 15+, Redis 7+)");
    }
    println!("xtask: installing {packages}, which the tests start for themselves; no service stays running");
    let mut install = root_shell()?;
    run(install.args(["-c", INSTALL, "install"]).args(packages.split(' ')))?;
    match missing.iter().find(|tool| !tool.is_there()) {
        None => Ok(()),
        Some(tool) => bail!("{} was installed, and is still not found", tool.package()),
    }
}

/// cargo-deny, to be given its arguments; built into `target/tools` at first (2 to 4 minutes on two cores).
pub(crate) fn cargo_deny() -> Result<Command> {
    let tools = root().join("target/tools");
    let program = tools.join("bin/cargo-deny");
    if !program.exists() {
        println!("xtask: building cargo-deny into target/tools, once");
        let version = format!("cargo-deny@{CARGO_DENY_VERSION}");
        run(cargo().args(["install", "--quiet", "--locked", &version, "--root"]).arg(&tools))?;
    }
    let mut command = Command::new(program);
    command.current_dir(root());
    Ok(command)
}

/// A shell of root's, to be given its arguments: by `sudo` where we are not, when it asks for no password.
pub(crate) fn root_shell() -> Result<Command> {
    let id = Command::new("id").arg("-u").output().context("id did not start")?;
    if id.stdout.trim_ascii() == b"0" {
        return Ok(Command::new("sh"));
    }
    let able = Command::new("sudo").args(["-n", "true"]).output().is_ok_and(|output| output.status.success());
    if !able {
        bail!("this needs root, and we are neither root nor may use sudo without a password");
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "sh"]);
    Ok(sudo)
}
