//! A Redis that forgets, dies, hangs and has no room.

use crate::{
    load::{Mix, Part, everything},
    redises::RedisSetup,
    scenario::Scenario,
    stage::{Setup, Stage},
};
use anyhow::{Context, Result};
use haul_testkit::redis;
use std::{path::Path, process::Command, time::Duration};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "redis-flushall",
            "FLUSHALL in the middle of the load, with ready, delayed and leased jobs.",
            |stage| Box::pin(flushall(stage)),
        )
        .short()
        .shows(700, 2),
        Scenario::new("redis-kill", "Redis is killed with -9 and started again, with its append-only file.", |stage| {
            Box::pin(kill(stage))
        })
        .short()
        .shows(150, 2),
        Scenario::new(
            "redis-rollback",
            "Redis is killed, and comes back with the append-only file of 3 s before.",
            |stage| Box::pin(roll_back(stage)),
        )
        .short()
        .shows(140, 2),
        Scenario::new("redis-debug-sleep", "Redis does nothing at all for 4 s (DEBUG SLEEP).", |stage| {
            Box::pin(command(stage, &["DEBUG", "SLEEP", "4"], Duration::from_secs(1), 2))
        })
        .shows(80, 2),
        Scenario::new("redis-client-pause", "Redis lets its clients wait for 4 s (CLIENT PAUSE).", |stage| {
            Box::pin(command(stage, &["CLIENT", "PAUSE", "4000"], Duration::from_secs(5), 2))
        })
        .shows(80, 2),
        Scenario::new("redis-client-kill", "Redis closes every connection, again and again (CLIENT KILL).", |stage| {
            let kill = &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
            Box::pin(command(stage, kill, Duration::from_millis(300), 15))
        })
        .short()
        .shows(100, 15),
        Scenario::new("redis-script-flush", "Redis forgets its scripts, again and again (SCRIPT FLUSH).", |stage| {
            Box::pin(command(stage, &["SCRIPT", "FLUSH"], Duration::from_millis(200), 15))
        })
        .shows(100, 15),
        Scenario::new(
            "redis-out-of-memory",
            "Redis refuses every write for 4 s, because its memory is full (noeviction).",
            |stage| Box::pin(out_of_memory(stage)),
        )
        .shows(120, 2),
        Scenario::new(
            "redis-out-of-disk",
            "Redis refuses every write, because the disk of its append-only file is full.",
            |stage| Box::pin(out_of_disk(stage)),
        )
        .on(Setup {
            redis: RedisSetup::Alone(redis::Options {
                append_only: true,
                settings: ["--enable-protected-configs", "local"].map(str::to_owned).to_vec(),
            }),
            ..Setup::default()
        })
        .needs(may_mount)
        .shows(100, 1),
    ]
}

async fn flushall(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    for _ in 0..2 {
        stage.acknowledged(20).await?;
        // More than both workers can take on at once: some are ready, some leased, some delayed.
        let (door, rng) = (stage.door().clone(), &mut stage.rng);
        door.submit_many(&Part::of(1, "nap", 0).lasting(100, 300), 200, rng).await?;
        door.submit_many(&Part::of(1, "effect", 10).delayed(500, 3_000), 100, rng).await?;
        stage.redis.alone()?.cli(&["FLUSHALL"])?;
        stage.strike("FLUSHALL");
        stage.acknowledged(40).await?;
    }
    Ok(())
}

async fn kill(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::default());
    for _ in 0..2 {
        stage.acknowledged(60).await?;
        stage.begin("Redis is dead");
        stage.redis.alone()?.kill()?;
        stage.pass(Duration::from_secs(1)).await;
        stage.redis.alone()?.restart()?;
        stage.end();
    }
    stage.acknowledged(60).await
}

async fn roll_back(stage: &mut Stage) -> Result<()> {
    let written = stage.redis.alone()?.directory().join("appendonlydir");
    let kept = stage.redis.alone()?.directory().join("kept");
    stage.load(&Mix::default());
    for _ in 0..2 {
        stage.acknowledged(40).await?;
        // Every second is synced; what a copy of a file that grows lacks at its end is cut off at the start.
        copy(&written, &kept)?;
        stage.pass(Duration::from_secs(3)).await;
        stage.begin("Redis is rolled back");
        stage.redis.alone()?.kill()?;
        copy(&kept, &written)?;
        stage.redis.alone()?.restart()?;
        stage.end();
    }
    stage.acknowledged(60).await
}

/// Makes `to` a copy of the directory `from`.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("no {}", from.display()))? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Gives Redis a command some times, with pauses. What the command does is over when it is answered, or after the pause.
async fn command(stage: &mut Stage, command: &[&str], pause: Duration, times: usize) -> Result<()> {
    stage.load(&Mix::default());
    stage.acknowledged(40).await?;
    for _ in 0..times {
        stage.begin(&command.join(" "));
        stage.redis.alone()?.cli(command)?;
        stage.pass(pause).await;
        stage.end();
        stage.acknowledged(2).await?;
    }
    stage.acknowledged(40).await
}

async fn out_of_memory(stage: &mut Stage) -> Result<()> {
    stage.load(&Mix::of(everything()));
    for _ in 0..2 {
        stage.acknowledged(40).await?;
        stage.begin("Redis has no memory left");
        // Less than it uses when empty.
        stage.redis.alone()?.cli(&["CONFIG", "SET", "maxmemory", "100kb"])?;
        stage.pass(Duration::from_secs(4)).await;
        stage.redis.alone()?.cli(&["CONFIG", "SET", "maxmemory", "0"])?;
        stage.end();
    }
    stage.acknowledged(40).await
}

async fn out_of_disk(stage: &mut Stage) -> Result<()> {
    let disk = Disk::mount(&stage.redis.alone()?.directory().join("disk"))?;
    let directory = disk.0.display().to_string();
    stage.redis.alone()?.cli(&["CONFIG", "SET", "appendonly", "no"])?;
    stage.redis.alone()?.cli(&["CONFIG", "SET", "dir", &directory])?;
    stage.redis.alone()?.cli(&["CONFIG", "SET", "appendonly", "yes"])?;
    stage.load(&Mix::default());
    stage.acknowledged(40).await?;

    stage.begin("the disk of Redis is full");
    let ballast = disk.0.join("ballast");
    // Ends with an error when nothing more goes in: that is what it is for.
    let filled = Command::new("dd").args(["if=/dev/zero", "bs=4k", &format!("of={}", ballast.display())]).output()?;
    anyhow::ensure!(!filled.status.success(), "the disk did not get full");
    stage.pass(Duration::from_secs(5)).await;
    let refused = stage.redis.alone()?.cli(&["SET", "haul-faults", "1"]).is_err();
    anyhow::ensure!(refused, "Redis goes on writing with a full disk");
    std::fs::remove_file(&ballast)?;
    stage.end();

    stage.acknowledged(40).await?;
    let settled = stage.conclude_load().await;
    // Back to where it can be unmounted.
    let home = stage.redis.alone()?.directory().display().to_string();
    stage.redis.alone()?.cli(&["CONFIG", "SET", "appendonly", "no"])?;
    stage.redis.alone()?.cli(&["CONFIG", "SET", "dir", &home])?;
    settled
}

/// A small file system of its own, unmounted when it is dropped.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(at: &Path) -> Result<Self> {
        std::fs::create_dir(at)?;
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "haul-faults"]).arg(at).output()?;
        anyhow::ensure!(mounted.status.success(), "mount: {}", String::from_utf8_lossy(&mounted.stderr));
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: Redis may still have a file open there.
        match Command::new("umount").arg("--lazy").arg(&self.0).status() {
            Ok(status) if status.success() => {}
            other => eprintln!("{} was not unmounted: {other:?}", self.0.display()),
        }
    }
}

/// Whether this process may mount: tried out, as being root is not enough in a container.
fn may_mount() -> Option<String> {
    let tried =
        tempfile::tempdir().map_err(anyhow::Error::from).and_then(|place| Disk::mount(&place.path().join("try")));
    tried.err().map(|error| format!("no file system can be mounted here ({error:#})"))
}
