//! The scripts, and how one is called.
//!
//! A call goes out as `EVALSHA`. A server that does not know the script (new, restarted, flushed, another node of a
//! cluster) gets the whole text with the same arguments as `EVAL`, which is atomic with running it.

use crate::{keys, slots::Slot};
use haul_core::{Kind, dispatch::Chore, pace::Destination};
use redis::{Arg, Cmd, RedisWrite, ToRedisArgs};
use std::sync::LazyLock;

const PRELUDE: &str = include_str!("../lua/prelude.lua");
const PACE_PRELUDE: &str = include_str!("../lua/pace/prelude.lua");

/// A script's text and its digest.
pub(crate) struct Script {
    code: String,
    sha1: String,
}

impl Script {
    fn new(prelude: &str, text: &str) -> Self {
        // The `#!lua` line has to stay the first.
        let (shebang, body) = text.split_once('\n').unwrap_or((text, ""));
        let code = format!("{shebang}\n{prelude}\n{body}");
        let sha1 = redis::Script::new(&code).get_hash().to_owned();
        Self { code, sha1 }
    }
}

macro_rules! scripts {
    ($prelude:expr; $($NAME:ident from $file:literal,)*) => {
        $(pub(crate) static $NAME: LazyLock<Script> =
            LazyLock::new(|| Script::new($prelude, include_str!(concat!("../lua/", $file))));)*
    };
}

scripts! { PRELUDE;
    BEGIN_REBUILD from "begin_rebuild.lua",
    CLAIM from "claim.lua",
    CONFIGURE from "configure.lua",
    ENQUEUE from "enqueue.lua",
    EXTEND from "extend.lua",
    FINISH_REBUILD from "finish_rebuild.lua",
    LEASED from "leased.lua",
    LOST from "lost.lua",
    REBUILD from "rebuild.lua",
    REMOVE from "remove.lua",
    RUNNING from "running.lua",
    SCAN from "scan.lua",
    SETTLE from "settle.lua",
    STATS from "stats.lua",
    TURN from "turn.lua",
    WAKE from "wake.lua",
}

scripts! { PACE_PRELUDE;
    PACE_ENTER from "pace/enter.lua",
    PACE_EXTEND from "pace/extend.lua",
    PACE_LEAVE from "pace/leave.lua",
    PACE_LOOK from "pace/look.lua",
    PACE_RESET from "pace/reset.lua",
}

scripts! { "";
    PACE_NAMES from "pace/names.lua",
    PACE_NOTE from "pace/note.lua",
}

/// One call of a script, being put together: its keys are given at once, its arguments one by one.
pub(crate) struct Call {
    script: &'static Script,
    cmd: Cmd,
    of: u16,
}

impl Call {
    /// A call with the keys of a slot and of these kinds.
    pub(crate) fn new<'a, Kinds>(script: &'static Script, slot: Slot<'_>, kinds: Kinds) -> Self
    where
        Kinds: IntoIterator<Item = &'a Kind, IntoIter: ExactSizeIterator>,
    {
        let kinds = kinds.into_iter();
        let mut call = Self::begin(script, keys::count(kinds.len()), slot.of);
        keys::write(&mut call.cmd, slot, kinds);
        call
    }

    /// A call with the state keys of several slots, however many their queues have.
    pub(crate) fn on_states(script: &'static Script, slots: &[Slot<'_>]) -> Self {
        let mut call = Self::begin(script, slots.len(), 0);
        for slot in slots {
            keys::write_state(&mut call.cmd, *slot);
        }
        call
    }

    /// A call about a chore, which is of no queue.
    pub(crate) fn on_turn(script: &'static Script, chore: Chore) -> Self {
        let mut call = Self::begin(script, 1, 0);
        keys::write_turn(&mut call.cmd, chore);
        call
    }

    /// A call with the keys of a destination.
    pub(crate) fn on_destination(script: &'static Script, destination: &Destination) -> Self {
        let mut call = Self::begin(script, keys::DESTINATION_KEYS, 0);
        keys::write_destination(&mut call.cmd, destination);
        call
    }

    /// A call with the key of all destinations' names.
    pub(crate) fn on_destinations(script: &'static Script) -> Self {
        let mut call = Self::begin(script, 1, 0);
        call.arg(keys::DESTINATIONS);
        call
    }

    fn begin(script: &'static Script, keys: usize, of: u16) -> Self {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&script.sha1).arg(keys);
        Self { script, cmd, of }
    }

    /// Adds an argument.
    pub(crate) fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.cmd.arg(arg);
        self
    }

    /// Adds bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.cmd.write_arg(bytes);
        self
    }

    /// Ends the arguments, with the number of slots that the call counts with.
    pub(crate) fn seal(mut self) -> Sealed {
        self.cmd.arg(self.of);
        Sealed { script: self.script, cmd: self.cmd }
    }
}

/// A call that is ready to be sent.
pub(crate) struct Sealed {
    script: &'static Script,
    cmd: Cmd,
}

impl Sealed {
    /// The command.
    pub(crate) fn cmd(&self) -> &Cmd {
        &self.cmd
    }

    /// The same call for a server that does not know the script.
    pub(crate) fn with_text(&self) -> Cmd {
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(&self.script.code);
        for arg in self.cmd.args_iter().skip(2) {
            if let Arg::Simple(bytes) = arg {
                cmd.arg(bytes);
            }
        }
        cmd
    }
}
