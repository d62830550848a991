//! haul-testkit
