// go-mysql's canal over one binlog: every row as a JSON document, then thrown away.
// A job as JSON on stdin, a report as JSON on stdout.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/go-mysql-org/go-mysql/canal"
	"github.com/go-mysql-org/go-mysql/mysql"
)

type job struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	User     string `json:"user"`
	Password string `json:"password"`
	ServerID uint32 `json:"server_id"`
	Tables   string `json:"table_regex"`
	File     string `json:"file"`
	Rows     int    `json:"rows"`
}

type event struct {
	Type     string         `json:"type"`
	Database string         `json:"database"`
	Table    string         `json:"table"`
	TS       uint32         `json:"ts"`
	Old      map[string]any `json:"old,omitempty"`
	Data     map[string]any `json:"data"`
}

type handler struct {
	canal.DummyEventHandler
	wanted int
	seen   int
	bytes  int
	done   chan struct{}
}

func named(e *canal.RowsEvent, row []any) map[string]any {
	fields := make(map[string]any, len(row))
	for i, value := range row {
		if raw, ok := value.([]byte); ok && e.Table.Columns[i].RawType == "json" {
			fields[e.Table.Columns[i].Name] = json.RawMessage(raw)
			continue
		}
		fields[e.Table.Columns[i].Name] = value
	}
	return fields
}

func (h *handler) OnRow(e *canal.RowsEvent) error {
	step := 1
	if e.Action == canal.UpdateAction {
		step = 2
	}
	for i := 0; i+step <= len(e.Rows); i += step {
		one := event{Type: e.Action, Database: e.Table.Schema, Table: e.Table.Name, TS: e.Header.Timestamp}
		one.Data = named(e, e.Rows[i+step-1])
		if step == 2 {
			one.Old = named(e, e.Rows[i])
		}
		text, err := json.Marshal(one)
		if err != nil {
			return err
		}
		h.bytes += len(text)
		h.seen++
		if h.seen == h.wanted {
			close(h.done)
		}
	}
	return nil
}

func (h *handler) String() string { return "bench" }

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func peakBytes() int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(text), "\n") {
		var kilobytes int
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); err == nil {
			return kilobytes * 1024
		}
	}
	return 0
}

func fail(err error) {
	text, _ := json.Marshal(map[string]string{"not_run": err.Error()})
	fmt.Println(string(text))
	os.Exit(0)
}

func main() {
	var asked job
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fail(err)
	}
	config := canal.NewDefaultConfig()
	config.Addr = fmt.Sprintf("%s:%d", asked.Host, asked.Port)
	config.User, config.Password, config.ServerID = asked.User, asked.Password, asked.ServerID
	config.Dump.ExecutionPath = "" // no snapshot: the manual's way to read the binlog alone
	config.IncludeTableRegex = []string{"^" + asked.Tables + "$"}
	config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	reader, err := canal.NewCanal(config)
	if err != nil {
		fail(err)
	}
	seen := &handler{wanted: asked.Rows, done: make(chan struct{})}
	reader.SetEventHandler(seen)
	began, cpu := time.Now(), cpuSeconds()
	failed := make(chan error, 1)
	go func() { failed <- reader.RunFrom(mysql.Position{Name: asked.File, Pos: 4}) }()
	select {
	case err := <-failed:
		fail(fmt.Errorf("canal ended: %v", err))
	case <-seen.done:
	}
	seconds, used := time.Since(began).Seconds(), cpuSeconds()-cpu
	text, _ := json.Marshal(map[string]any{
		"rows": asked.Rows, "seconds": seconds, "cpu_seconds": used, "peak_bytes": peakBytes(), "message_bytes": seen.bytes,
	})
	fmt.Println(string(text))
	os.Exit(0)
}
