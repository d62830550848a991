//! haul-postgres
