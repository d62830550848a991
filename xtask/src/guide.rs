//! `cargo xtask guide`: the production guide's commands, run as they stand there.
//!
//! Promise: every block of `docs/production.md` that is marked `sh`, in the order of the page, in one bash that stops at the first
//! command that fails; as root, as a reader would, with a scratch directory and free ports instead of the page's. Nothing that
//! it started runs on, and nothing stays behind but packages. The program is the debug build.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use haul_testkit::place;

use crate::run::{cargo, root, run};
use crate::tools::{self, Tool};

const PAGE: &str = "docs/production.md";
const MINUTES_MAX: u32 = 6;

/// The ports that the page uses, by its names for them.
const PORTS: [&str; 10] = [
    "PG_PORT",
    "REDIS_PORT",
    "PROMETHEUS_PORT",
    "API_1",
    "API_2",
    "OPS_API_1",
    "OPS_API_2",
    "OPS_WORKER_1",
    "OPS_WORKER_2",
    "OPS_SCHEDULER",
];

/// Ends what the page's `start` has begun, whatever befalls the page's commands. Files in `run` hold process ids.
const BEFORE: &str = r#"set -euo pipefail
umask 022
BASE=$(mktemp -d)
end() {
    local status=$?
    [ $status = 0 ] || tail -n 15 "$BASE"/log/* || true
    for file in "$BASE"/run/*; do
        if [ -f "$file" ]; then kill -QUIT "$(cat "$file")" || true; fi
    done 2>/dev/null
    rm -f "$BASE"/upgrade/goes-on
    wait
    rm -rf "$BASE"
    exit $status
}
trap end EXIT
"#;

/// Builds `haul` and runs the page.
pub(crate) fn guide() -> Result<()> {
    tools::ensure(&[Tool::Postgres, Tool::Redis, Tool::Prometheus, Tool::Curl, Tool::Jq, Tool::Openssl])?;
    println!("xtask: building haul, which the guide installs");
    run(cargo().args(["build", "--quiet", "--package", "haul-cli"]))?;
    let page = fs::read_to_string(root().join(PAGE)).with_context(|| format!("no {PAGE}"))?;
    let mut script = BEFORE.to_owned();
    for (line, block) in blocks(&page)? {
        script += &format!("echo 'guide: {PAGE}, line {line}'\n{block}");
    }
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), script)?;

    let mut variables = vec!["BUILT=target/debug/haul".to_owned(), "RUN_AS=nobody".to_owned()];
    for name in PORTS {
        variables.push(format!("{name}={}", place::free_port()?));
    }
    let mut bash = tools::root_shell()?;
    // The page's settings are its own.
    bash.args([
        "-c",
        r#"unset $(env | sed -n 's/^\(HAUL_[A-Z_]*\|DATABASE_URL\|REDIS_URL\)=.*/\1/p'); exec env "$@""#,
        "env",
    ]);
    bash.args(variables).args(["timeout", "--kill-after=15s", &format!("{MINUTES_MAX}m"), "bash"]).arg(file.path());
    run(bash.current_dir(root()))
}

/// The page's blocks marked `sh`, each with the number of its first line.
fn blocks(page: &str) -> Result<Vec<(usize, String)>> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match (line, &mut open) {
            ("```sh", None) => open = Some((number + 2, String::new())),
            ("```", Some(_)) => blocks.extend(open.take()),
            (line, Some((_, block))) => {
                ensure!(!line.starts_with("```"), "{PAGE}: line {}: a block within a block", number + 1);
                *block += line;
                *block += "\n";
            }
            _ => {}
        }
    }
    if let Some((line, _)) = open {
        bail!("{PAGE}: the block at line {line} does not end");
    }
    ensure!(!blocks.is_empty(), "{PAGE} has no blocks");
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_in_their_order_and_others_are_left_out() {
        let page = "# Page\n```sh\none\n  two\n```\ntext\n```toml\nno\n```\n```sh\nthree\n```\n";
        let expected = vec![(3, "one\n  two\n".to_owned()), (11, "three\n".to_owned())];
        assert_eq!(blocks(page).expect("blocks"), expected);
        assert!(blocks("```sh\nnever ends\n").is_err());
        assert!(blocks("no block\n").is_err());
    }
}
