-- Value-only macros: they take numbers and give a number. None names a table, and each calls others
-- with their schema, so that they, and the views that use them, still work when the file is attached
-- under another name.

-- Where a row stands among its like when rows are sorted by what they mean: the headline's first.
CREATE MACRO place_of(word) AS
  list_position([
    'app', 'product', 'endpoint',
    'bytes', 'bytes_normalised', 'tcp_opens',
    'all', 'enabled', 'capable',
    'strict', 'wire', 'service'
  ], word);

-- The last of dates, one of which may be still to come (NULL): then NULL. An aggregate.
CREATE MACRO last_of_all(dates) AS
  CASE WHEN count(*) = count(dates) THEN max(dates) END;

-- A part of a whole; NULL where the whole is empty.
CREATE MACRO share_of(part, total) AS
  CASE WHEN total > 0 THEN part::DOUBLE / total::DOUBLE END;

-- n_eff = W^2 / V_all: the number of equal, independent draws that would err as much.
-- NULL where nothing was sampled.
CREATE MACRO effective_n(total, variance_all) AS
  CASE WHEN variance_all > 0
    THEN (total::DOUBLE / variance_all::DOUBLE) * total::DOUBLE
  END;

-- Standard error of a share under packet sampling (delta method for a ratio):
-- v = ((1 - S)^2 V_num + S^2 V_rest) / W^2. NULL where the variances are not known. V_num is a part of
-- V_all, so that v is never below 0.
CREATE MACRO share_standard_error(part, total, variance_part, variance_all) AS
  CASE WHEN total > 0 AND variance_part <= variance_all THEN
    sqrt(
      (1.0 - part::DOUBLE / total::DOUBLE) ** 2 * variance_part::DOUBLE
      + (part::DOUBLE / total::DOUBLE) ** 2
        * (variance_all::DOUBLE - variance_part::DOUBLE)
    ) / total::DOUBLE
  END;

-- n of the Wilson interval: min(n_eff, S (1 - S) / v), or n_eff where either of the two is 0.
-- An argument is put in as a text wherever it stands, so these formulas name each one seldom.
CREATE MACRO wilson_n(share, standard_error, n_effective) AS
  least(n_effective, nullif(share * (1.0 - share), 0) / nullif(standard_error ** 2, 0));

-- Wilson score interval at 95 % (Wilson 1927), its fraction expanded by n / z^2; z^2 = 3.841459.
-- n need not be whole.
CREATE MACRO wilson_low(share, n) AS
  CASE WHEN n > 0 THEN
    greatest(0.0,
      (share * (n / 3.8414588) + 0.5 - sqrt(n / 3.8414588 * share * (1.0 - share) + 0.25))
      / (n / 3.8414588 + 1.0))
  END;
CREATE MACRO wilson_high(share, n) AS
  CASE WHEN n > 0 THEN
    least(1.0,
      (share * (n / 3.8414588) + 0.5 + sqrt(n / 3.8414588 * share * (1.0 - share) + 0.25))
      / (n / 3.8414588 + 1.0))
  END;

-- The two ends of the sampling interval of a byte share. The share itself where no byte has a
-- known error (exact, where nothing was sampled); NULL where over 1 % of the bytes have an unknown
-- error, where the variance is not known (other bases) and where the whole is empty.
CREATE MACRO share_ci_low(part, total, variance_part, variance_all, error_unknown) AS
  CASE
    WHEN error_unknown > 0.01 * total THEN NULL
    WHEN variance_all = 0 THEN main.share_of(part, total)
    ELSE main.wilson_low(
      main.share_of(part, total),
      main.wilson_n(
        main.share_of(part, total),
        main.share_standard_error(part, total, variance_part, variance_all),
        main.effective_n(total, variance_all)))
  END;
CREATE MACRO share_ci_high(part, total, variance_part, variance_all, error_unknown) AS
  CASE
    WHEN error_unknown > 0.01 * total THEN NULL
    WHEN variance_all = 0 THEN main.share_of(part, total)
    ELSE main.wilson_high(
      main.share_of(part, total),
      main.wilson_n(
        main.share_of(part, total),
        main.share_standard_error(part, total, variance_part, variance_all),
        main.effective_n(total, variance_all)))
  END;

-- Whether a change is more than sampling and the usual scatter make, at 95 %, in words. scatter: of
-- changes of the same kind before it, as a standard deviation; NULL where there are too few.
CREATE MACRO verdict_on(change, standard_error, scatter, suppressed) AS
  CASE
    WHEN change IS NULL THEN NULL
    WHEN standard_error IS NULL THEN 'not known: the sampling error is not'
    WHEN suppressed THEN 'not known: too few samples'
    WHEN scatter IS NULL THEN 'not known: fewer than 2 earlier changes'
    WHEN abs(change) <= 1.959963985 * sqrt(standard_error ** 2 + scatter ** 2)
      THEN 'within sampling and scatter'
    WHEN change < 0 THEN 'real drop'
    ELSE 'real rise'
  END;

-- Too few effective draws for the interval to be trusted: shown, but marked.
CREATE MACRO is_suppressed(total, variance_all) AS
  coalesce(main.effective_n(total, variance_all) < 30, false);

-- Bounds: everything undecided counted as IPv4 (low) or as IPv6 (high).
CREATE MACRO bound_low(part, total, undecided) AS
  main.share_of(part, total + undecided);
CREATE MACRO bound_high(part, total, undecided) AS
  main.share_of(part + undecided, total + undecided);

-- Distinct clients of a theta sketch: kept hashes / (theta / 2^64). Exact while theta is 2^64 - 1.
CREATE MACRO theta_estimate(kept, theta) AS
  kept::DOUBLE / (theta::DOUBLE / 18446744073709551616.0);

-- What is missing to the target, never below 0; NULL where either is not known.
CREATE MACRO shortfall(share, target) AS
  CASE WHEN share < target THEN target - share WHEN share >= target THEN 0.0 END;

-- False where over 1 % of the whole comes from packets that are no packets (host offload): the
-- header-normalised share means nothing there. True for bases that have no such sum.
CREATE MACRO offload_allows(offloaded, total) AS
  coalesce(offloaded <= 0.01 * total, true);
