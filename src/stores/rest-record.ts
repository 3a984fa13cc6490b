/** A key that is passed over for a while. A daemon keeps its rests in memory; the longer ones are written down for others to see. */
export interface RestRecord {
  readonly keyId: string
  /** Empty: whatever the model. */
  readonly model: string
  readonly sinceMs: number
  readonly untilMs: number
  /** What the provider answered; 0: nothing. */
  readonly status: number
}
