// Go's net/http, and golang.org/x/net for HTTP/2 without TLS; GOMAXPROCS says on how many threads.
package main

import (
	"bytes"
	"flag"
	"io"
	"log"
	"net/http"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

var (
	ok   = []byte("OK")
	long = bytes.Repeat([]byte("x"), 1<<20)
)

func answer(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	content := ok
	switch r.URL.Path {
	case "/10k.txt":
		content = long[:10<<10]
	case "/1m.txt":
		content = long
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Write(content)
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	tlsListen := flag.String("tls-listen", "127.0.0.1:8443", "address to listen on with TLS")
	tlsCert := flag.String("tls-cert", "", "certificate chain, PEM")
	tlsKey := flag.String("tls-key", "", "its key, PEM")
	flag.Parse()
	handler := http.HandlerFunc(answer)
	go func() {
		log.Fatal(http.ListenAndServeTLS(*tlsListen, *tlsCert, *tlsKey, handler))
	}()
	log.Fatal(http.ListenAndServe(*listen, h2c.NewHandler(handler, &http2.Server{})))
}
