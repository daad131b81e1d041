// fasthttp answering OK to everything, and the routes of peers/app that it can; GOMAXPROCS says on how many threads.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"strconv"

	"github.com/valyala/fasthttp"
)

type item struct {
	SKU      string  `json:"sku"`
	Title    string  `json:"title"`
	Quantity uint32  `json:"quantity"`
	Price    float64 `json:"price"`
}

type order struct {
	ID       uint64   `json:"id"`
	Customer string   `json:"customer"`
	Email    string   `json:"email"`
	Tags     []string `json:"tags"`
	Items    []item   `json:"items"`
	Note     *string  `json:"note"`
	Paid     bool     `json:"paid"`
}

type receipt struct {
	order
	Total float64 `json:"total"`
}

func takeOrder(ctx *fasthttp.RequestCtx) {
	var taken receipt
	if err := json.Unmarshal(ctx.PostBody(), &taken.order); err != nil {
		ctx.Error(err.Error(), fasthttp.StatusBadRequest)
		return
	}
	for _, item := range taken.Items {
		taken.Total += item.Price * float64(item.Quantity)
	}
	answer, err := json.Marshal(&taken)
	if err != nil {
		ctx.Error(err.Error(), fasthttp.StatusInternalServerError)
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(answer)
}

func takeForm(ctx *fasthttp.RequestCtx) {
	form := ctx.PostArgs()
	age, err := strconv.ParseUint(string(form.Peek("age")), 10, 32)
	if err != nil || !form.Has("name") || !form.Has("email") || !form.Has("comment") {
		ctx.Error("a field is missing or wrong", fasthttp.StatusBadRequest)
		return
	}
	fmt.Fprintf(ctx, "%s <%s>, %d: %d bytes", form.Peek("name"), form.Peek("email"), age, len(form.Peek("comment")))
}

func count(ctx *fasthttp.RequestCtx) {
	bytes, err := io.Copy(io.Discard, ctx.RequestBodyStream())
	if err != nil {
		ctx.Error(err.Error(), fasthttp.StatusBadRequest)
		return
	}
	ctx.SetBodyString(strconv.FormatInt(bytes, 10))
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	files := flag.String("files", "", "what /file/ serves; without it everything is answered with OK")
	flag.Parse()
	if *files == "" {
		log.Fatal(fasthttp.ListenAndServe(*listen, func(ctx *fasthttp.RequestCtx) {
			ctx.SetBodyString("OK")
		}))
	}
	file := fasthttp.FSHandler(*files, 1)
	server := fasthttp.Server{
		MaxRequestBodySize: 64 << 20,
		StreamRequestBody:  true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			switch path := string(ctx.Path()); {
			case path == "/hello":
				ctx.SetBodyString("Hello, world!")
			case path == "/json":
				takeOrder(ctx)
			case path == "/form":
				takeForm(ctx)
			case path == "/upload":
				count(ctx)
			case len(path) > 6 && path[:6] == "/file/":
				file(ctx)
			default:
				ctx.NotFound()
			}
		},
	}
	log.Fatal(server.ListenAndServe(*listen))
}
