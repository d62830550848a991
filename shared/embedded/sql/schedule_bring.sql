-- Notes that a schedule comes with Haul. ?1: tenant; ?2: name. No row is changed: it came before.
INSERT INTO schedule_brought VALUES (?1, ?2) ON CONFLICT DO NOTHING
