-- A subscription that is past due and a payment refund that is on its way bring work too: the
-- provider is asked about them daily. The program computes the times again.

-- The list of due payments is read page by page, in this order.
DROP INDEX payments_due;
CREATE INDEX payments_due ON payments (due_at, workspace) WHERE due_at IS NOT NULL;

-- An older server would write other times.
UPDATE platform SET min_version = 8;
