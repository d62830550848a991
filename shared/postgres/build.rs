//! Has the crate compiled again when a migration or the cache of checked statements changes: the macros do not tell cargo.

fn main() {
    for path in ["../../migrations/postgres", "sql", ".sqlx", "sqlx.toml"] {
        println!("cargo:rerun-if-changed={path}");
    }
}
