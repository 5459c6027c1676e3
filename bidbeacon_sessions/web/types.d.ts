// The shapes of the server's answers, for the check of the scripts; docs/page.md and docs/stream.md describe them.

export type Tone = "neutral" | "progress" | "success" | "warning" | "error";

export interface Part {
  kind: "text" | "badge" | "window" | "account" | "time";
  text: string;
  value?: any;
}

export interface Account {
  key: string;
  label: string | null;
}

export interface Action {
  session_id: string;
  ord: number;
  type: string;
  at: string;
  tone: Tone;
  accounts: Account[];
  parts: Part[];
  text: string;
  payload: any;
}

export interface Session {
  id: string;
  job_name: string;
  status: "running" | "succeeded" | "failed" | "cancelled" | "crashed";
  outcome: "ok" | "warnings" | "problems";
  recovered_by: string | null;
  mark: string;
  status_text: string;
  account: string | null;
  account_label: string | null;
  run_id: string | null;
  run_url: string | null;
  step_key: string | null;
  retry_number: number;
  started_at: string;
  finished_at: string | null;
  duration: number | null;
  error: any;
  input: Record<string, unknown>;
  labels: Record<string, unknown>;
  revision: number;
  action_count: number;
}

/** A session with those of its actions that are loaded, in order. */
export interface Entry {
  session: Session;
  byOrd: Map<number, Action>;
  actions: Action[];
}

export type Key = "job" | "account" | "status" | "outcome" | "type" | "dataset" | "window" | "run" | "since" | "before" | "text";
export type Filter = { [key in Key]?: string };

export interface Histogram {
  start: string;
  seconds: number;
  counts: Record<string, number>[];
}

export interface Step {
  waits_for: string | null;
  start: number;
  seconds: number;
  ord: number | null;
}

/** Where a session's time went. */
export interface Time {
  seconds: number;
  sums: { waits_for: string | null; seconds: number }[];
  steps: Step[];
  more: { steps: number; seconds: number };
}

export interface Surroundings {
  time: Time;
  previous: Session | null;
  next: Session | null;
  references: { account_key: string; account_label: string | null; dataset: string | null; effect: string; windows: string[] | null }[];
  last_good: { session: Session; differences: any[] } | null;
}

/** How the connection is, and as of when what is shown is true. */
export interface State {
  name: string;
  asOf: number | null;
  error?: any;
}

declare global {
  interface JSON {
    rawJSON(text: string): unknown;
  }
}
