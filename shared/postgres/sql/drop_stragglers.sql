-- Takes jobs off the list of stragglers, unless they are waiting. $1: all that were looked at; $2: those that wait.
DELETE FROM haul.straggler WHERE id = ANY ($1::uuid[]) AND id <> ALL ($2::uuid[])
