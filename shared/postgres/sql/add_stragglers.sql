-- Lists unsettled jobs of closed history. $1: their ids.
INSERT INTO haul.straggler (id) SELECT * FROM unnest($1::uuid[]) ON CONFLICT (id) DO NOTHING
