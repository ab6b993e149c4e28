#!/usr/bin/env bash
# salesforce-bulk: the results of an XML job have no Ids.
#
# Package: salesforce-bulk 2.2.0, from the package index. The server is a small one on this machine.
# Input: the results of a batch as the Bulk API guide shows them ("Handle Batch Results"): an Id, success, created; once as
# CSV and once as XML.
# Seen: get_batch_results() returns the Id for CSV. For XML it returns None for every record: the function that reads the
# Id out of the XML has no return.
# Consequence: who updates created records by these Ids updates none.
#
# Ends with 0 while that is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check salesforce-bulk==2.2.0
cat > "$folder/show.py" <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from salesforce_bulk import SalesforceBulk

ID = "001D000000ISUr3IAH"
REPLIES = {
    "text/csv": f'"Id","Success","Created","Error"\n"{ID}","true","true",""\n',
    "application/xml": '<?xml version="1.0" encoding="UTF-8"?>'
    '<results xmlns="http://www.force.com/2009/06/asyncapi/dataload">'
    f"<result><id>{ID}</id><success>true</success><created>true</created></result></results>",
}


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        kind = "text/csv" if "csv" in self.path else "application/xml"
        body = REPLIES[kind].encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
bulk = SalesforceBulk(sessionId="token", host=f"http://127.0.0.1:{server.server_port}")
for kind in ("csv", "xml"):
    (result,) = bulk.get_batch_results("batch", kind)
    print(f"{kind}: Id {result.id}, success {result.success}")
server.shutdown()
PYTHON
seen=$(NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 "$folder/venv/bin/python" "$folder/show.py")
echo "$seen"
expected=$'csv: Id 001D000000ISUr3IAH, success true\nxml: Id None, success True'
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; echo "$expected"; exit 1; }
