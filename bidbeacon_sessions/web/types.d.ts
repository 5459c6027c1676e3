// The types of the server's answers, to check the scripts; see docs/reference/http.md and docs/reference/stream-protocol.md.

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

/** A session with its loaded actions, in order. */
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

/** The time of a session. */
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

/** The state of the connection, and the time of the shown data. */
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
