/**
 * The certificates in a PEM text, in its order (RFC 7468; text between them counts for nothing). Each ends at the first character that base64 has not, so that a text
 * of nothing but beginnings, which whoever is asked may send, costs no more time than any other.
 */
export function certificatesIn(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? []
}
