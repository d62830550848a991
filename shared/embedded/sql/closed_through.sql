-- Up to where history is closed: below this id every unsettled job is a straggler.
SELECT closed_through AS "closed_through: Uuid" FROM closing
