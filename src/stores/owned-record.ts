/** Something at a provider that belongs to the grant that made it. */
export interface OwnedRecord {
  readonly tenant: string
  readonly provider: string
  /** A word of the provider's table: `file`, `response` … */
  readonly kind: string
  /** As the provider names it. */
  readonly id: string
  /** The key it was made with: no other may know it. */
  readonly keyId: string
  /** Whose it is: a grant, or an app's user. */
  readonly grantId: string
  readonly createdAtMs: number
  /** When the provider has forgotten it; `null`: it is kept until it is deleted. */
  readonly endsAtMs: number | null
  /** What was seen of its content when it was made, as JSON: of a batch's requests. `null`: nothing. */
  readonly facts: string | null
}
