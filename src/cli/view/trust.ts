import { shellQuoted } from '../format.js'

/** How clients are told to trust the local CA, given the path of its certificate and, where that is not its own, the way a shell is told that path. */
export function trustText(path: string, caFile: string = shellQuoted(path)): string {
  return [
    `To be trusted by clients on this machine, the local CA (${path}) is named to them:`,
    `  curl      curl --cacert ${caFile} …`,
    `  Node      NODE_EXTRA_CA_CERTS=${caFile}`,
    `  Python    SSL_CERT_FILE=${caFile}`,
    `or installed for all of them:`,
    `  Debian    sudo cp ${caFile} /usr/local/share/ca-certificates/soakp.crt && sudo update-ca-certificates`,
    `  Fedora    sudo trust anchor ${caFile}`,
    `  macOS     sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${caFile}`,
    `  Windows   certutil -addstore -user Root "${path}"`,
    `  Firefox   Settings, Privacy & Security, Certificates, View Certificates, Authorities, Import`,
  ].join('\n')
}
