-- Moves a round on. ?1: which; ?2: from which hour; ?3: to which. No row is changed: another call has moved it.
UPDATE statistic_round SET next_hour = ?3 WHERE round = ?1 AND next_hour = ?2
