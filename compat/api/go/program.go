// The ngrok API client for Go against the resources of a table (compat/README.md describes both).
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/ngrok/ngrok-api-go/v8"
	"github.com/ngrok/ngrok-api-go/v8/abuse_reports"
	"github.com/ngrok/ngrok-api-go/v8/agent_ingresses"
	"github.com/ngrok/ngrok-api-go/v8/api_keys"
	"github.com/ngrok/ngrok-api-go/v8/application_sessions"
	"github.com/ngrok/ngrok-api-go/v8/application_users"
	"github.com/ngrok/ngrok-api-go/v8/bot_users"
	"github.com/ngrok/ngrok-api-go/v8/certificate_authorities"
	"github.com/ngrok/ngrok-api-go/v8/credentials"
	"github.com/ngrok/ngrok-api-go/v8/endpoints"
	"github.com/ngrok/ngrok-api-go/v8/event_destinations"
	"github.com/ngrok/ngrok-api-go/v8/event_sources"
	"github.com/ngrok/ngrok-api-go/v8/event_subscriptions"
	"github.com/ngrok/ngrok-api-go/v8/ip_policies"
	"github.com/ngrok/ngrok-api-go/v8/ip_policy_rules"
	"github.com/ngrok/ngrok-api-go/v8/ip_restrictions"
	"github.com/ngrok/ngrok-api-go/v8/reserved_addrs"
	"github.com/ngrok/ngrok-api-go/v8/reserved_domains"
	"github.com/ngrok/ngrok-api-go/v8/secrets"
	"github.com/ngrok/ngrok-api-go/v8/service_users"
	"github.com/ngrok/ngrok-api-go/v8/ssh_certificate_authorities"
	"github.com/ngrok/ngrok-api-go/v8/ssh_credentials"
	"github.com/ngrok/ngrok-api-go/v8/ssh_host_certificates"
	"github.com/ngrok/ngrok-api-go/v8/ssh_user_certificates"
	"github.com/ngrok/ngrok-api-go/v8/tls_certificates"
	"github.com/ngrok/ngrok-api-go/v8/tunnel_sessions"
	"github.com/ngrok/ngrok-api-go/v8/tunnels"
	"github.com/ngrok/ngrok-api-go/v8/vaults"
)

func services(config *ngrok.ClientConfig) map[string]any {
	return map[string]any{
		"abuse_reports":               abuse_reports.NewClient(config),
		"agent_ingresses":             agent_ingresses.NewClient(config),
		"api_keys":                    api_keys.NewClient(config),
		"application_sessions":        application_sessions.NewClient(config),
		"application_users":           application_users.NewClient(config),
		"bot_users":                   bot_users.NewClient(config),
		"certificate_authorities":     certificate_authorities.NewClient(config),
		"credentials":                 credentials.NewClient(config),
		"endpoints":                   endpoints.NewClient(config),
		"event_destinations":          event_destinations.NewClient(config),
		"event_sources":               event_sources.NewClient(config),
		"event_subscriptions":         event_subscriptions.NewClient(config),
		"ip_policies":                 ip_policies.NewClient(config),
		"ip_policy_rules":             ip_policy_rules.NewClient(config),
		"ip_restrictions":             ip_restrictions.NewClient(config),
		"reserved_addrs":              reserved_addrs.NewClient(config),
		"reserved_domains":            reserved_domains.NewClient(config),
		"secrets":                     secrets.NewClient(config),
		"service_users":               service_users.NewClient(config),
		"ssh_certificate_authorities": ssh_certificate_authorities.NewClient(config),
		"ssh_credentials":             ssh_credentials.NewClient(config),
		"ssh_host_certificates":       ssh_host_certificates.NewClient(config),
		"ssh_user_certificates":       ssh_user_certificates.NewClient(config),
		"tls_certificates":            tls_certificates.NewClient(config),
		"tunnel_sessions":             tunnel_sessions.NewClient(config),
		"tunnels":                     tunnels.NewClient(config),
		"vaults":                      vaults.NewClient(config),
	}
}

type object = map[string]any

type entry struct {
	Resource string
	Below    object
	Create   []object
	Update   object
	Refused  object
	Code     string
	Gone     string
	Calls    []string
	Refuses  map[string]string `json:"refused_calls"`
	Within   *struct{ Resource, Call string }
	Online   *int
	Missing  string
	Checks   []string
	Delete   bool
}

// A row of the table.
type row struct {
	entry
	service reflect.Value
	clients map[string]any
	ids     []string
}

// The first of each resource, which others refer to as "$resource".
var first = map[string]string{}

func filled(value any) any {
	switch value := value.(type) {
	case object:
		whole := object{}
		for key, each := range value {
			whole[key] = filled(each)
		}
		return whole
	case []any:
		whole := []any{}
		for _, each := range value {
			whole = append(whole, filled(each))
		}
		return whole
	case string:
		if name, found := strings.CutPrefix(value, "$"); found {
			return first[name]
		}
	}
	return value
}

func merged(objects ...object) object {
	whole := object{}
	for _, each := range objects {
		for key, value := range each {
			whole[key] = filled(value)
		}
	}
	return whole
}

// Calls a method of the client, with an id, or with the members of an object as what the method takes.
func (r *row) call(method string, argument any) (any, error) {
	function := r.service.MethodByName(method)
	taken := function.Type().In(function.Type().NumIn() - 1)
	value := reflect.ValueOf(argument)
	if taken.Kind() == reflect.Pointer {
		text, err := json.Marshal(argument)
		if err != nil {
			return nil, err
		}
		value = reflect.New(taken.Elem())
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(value.Interface()); err != nil {
			return nil, err
		}
	}
	arguments := []reflect.Value{value}
	if function.Type().NumIn() > 1 {
		arguments = []reflect.Value{reflect.ValueOf(context.Background()), value}
	}
	results := function.Call(arguments)
	failure, _ := results[len(results)-1].Interface().(error)
	return results[0].Interface(), failure
}

// A reply as an object, to look things up by their names in JSON.
func members(reply any) object {
	text, _ := json.Marshal(reply)
	whole := object{}
	json.Unmarshal(text, &whole)
	return whole
}

// What was asked for is there; an empty text asks for the server's default.
func expect(reply any, wanted object) error {
	found := members(reply)
	for key, value := range wanted {
		switch value.(type) {
		case string, bool:
			if is, known := found[key]; known && value != "" && is != value {
				return fmt.Errorf("%s is %v instead of %v", key, is, value)
			}
		}
	}
	return nil
}

func refused(err error, code string) error {
	var refusal *ngrok.Error
	if !errors.As(err, &refusal) || refusal.ErrorCode != code {
		return fmt.Errorf("%v instead of %s", err, code)
	}
	if !strings.HasPrefix(refusal.OperationID(), "op_") {
		return fmt.Errorf("the refusal has no operation id: %v", err)
	}
	return nil
}

// What the resource is found by: its id, or the path below another one.
func (r *row) key(index int) any {
	if r.Below != nil {
		return merged(r.Below, object{"type": r.ids[index]})
	}
	return r.ids[index]
}

// The same of the first, as a change has it.
func (r *row) found() object {
	if key, below := r.key(0).(object); below {
		return key
	}
	return object{"id": r.ids[0]}
}

func (r *row) name(reply any) string {
	key := "id"
	if r.Below != nil {
		key = "type"
	}
	name, _ := members(reply)[key].(string)
	return name
}

func (r *row) check(what string) error {
	if len(r.ids) == 0 && slices.Contains([]string{"get", "update", "calls", "delete"}, what) {
		return errors.New("there is none")
	}
	switch what {
	case "create":
		return r.create()
	case "get":
		found, err := r.call("Get", r.key(0))
		if err == nil && r.name(found) != r.ids[0] {
			err = fmt.Errorf("%v instead of %s", found, r.ids[0])
		}
		return err
	case "update":
		changed, err := r.call("Update", merged(r.found(), r.Update))
		if err != nil {
			return err
		}
		found, err := r.call("Get", r.key(0))
		return errors.Join(err, expect(changed, r.Update), expect(found, r.Update))
	case "list":
		return r.list()
	case "calls":
		for call, code := range r.Refuses {
			_, err := r.call(method(call), r.ids[0])
			if err := refused(err, code); err != nil {
				return err
			}
		}
		for index, call := range r.Calls {
			if _, err := r.call(method(call), r.ids[index]); err != nil {
				return err
			}
		}
		return nil
	case "refused":
		_, err := r.call("Create", merged(r.Below, r.Refused))
		return refused(err, r.Code)
	case "missing":
		_, err := r.call("Get", r.Missing)
		return refused(err, r.Gone)
	case "delete":
		for index := len(r.ids) - 1; index >= 0; index-- {
			if _, err := r.call("Delete", r.key(index)); err != nil {
				return err
			}
			_, err := r.call("Get", r.key(index))
			if err := refused(err, r.Gone); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no check %s", what)
}

func (r *row) create() error {
	for _, body := range r.Create {
		made, err := r.call("Create", merged(r.Below, body))
		if err != nil {
			return err
		}
		r.ids = append(r.ids, r.name(made))
		if err := expect(made, merged(body)); err != nil {
			return err
		}
	}
	first[r.Resource] = r.ids[0]
	return nil
}

func (r *row) list() error {
	if r.Below != nil {
		listed, err := r.call("List", filled(r.Below["subscription_id"]))
		if err != nil {
			return err
		}
		for _, id := range r.ids {
			same := func(source ngrok.EventSource) bool { return source.Type == id }
			if !slices.ContainsFunc(listed.(*ngrok.EventSourceList).Sources, same) {
				return fmt.Errorf("%s is not in the list", id)
			}
		}
		return nil
	}
	listed, err := r.listed(r.service.MethodByName("List"))
	if err != nil {
		return err
	}
	if r.Online != nil {
		r.ids = listed
		if len(listed) != *r.Online {
			return fmt.Errorf("%v instead of %d", listed, *r.Online)
		}
		return nil
	}
	wanted := slices.Sorted(slices.Values(r.ids))
	slices.Reverse(wanted)
	found := slices.DeleteFunc(slices.Clone(listed), func(id string) bool { return !slices.Contains(wanted, id) })
	if !slices.Equal(found, wanted) {
		return fmt.Errorf("%v are not in this order in %v", wanted, listed)
	}
	if r.Within != nil {
		owner := reflect.ValueOf(r.clients[r.Within.Resource])
		listed, err := r.listed(owner.MethodByName(method(r.Within.Call)), reflect.ValueOf(first[r.Within.Resource]))
		if err != nil || !slices.Equal(listed, wanted) {
			return fmt.Errorf("%v instead of %v: %v", listed, wanted, err)
		}
	}
	return nil
}

// The ids of everything that a method lists, in pages of one.
func (r *row) listed(function reflect.Value, arguments ...reflect.Value) ([]string, error) {
	paging := reflect.New(function.Type().In(len(arguments)).Elem())
	paging.Elem().FieldByName("Limit").Set(reflect.ValueOf(ngrok.String("1")))
	list := function.Call(append(arguments, paging))[0]
	next, item := list.MethodByName("Next"), list.MethodByName("Item")
	ids := []string{}
	for next.Call([]reflect.Value{reflect.ValueOf(context.Background())})[0].Bool() {
		ids = append(ids, r.name(item.Call(nil)[0].Interface()))
	}
	err, _ := list.MethodByName("Err").Call(nil)[0].Interface().(error)
	return ids, err
}

// The name of a method of the client.
func method(call string) string {
	name := ""
	for _, word := range strings.Split(call, "_") {
		name += strings.ToUpper(word[:1]) + word[1:]
	}
	return name
}

// Makes a check and prints what came out.
func (r *row) say(what string) bool {
	line := map[string]string{"resource": r.Resource, "check": what}
	err := r.check(what)
	if err != nil {
		line["failed"] = err.Error()
	}
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
	return err == nil
}

func main() {
	config := ngrok.NewClientConfig(os.Getenv("COMPAT_API_KEY"), ngrok.WithBaseURL(os.Getenv("COMPAT_API_URL")))
	text, err := os.ReadFile(os.Getenv("COMPAT_RESOURCES"))
	if err != nil {
		panic(err)
	}
	var table []entry
	if err := json.Unmarshal(text, &table); err != nil {
		panic(err)
	}
	clients := services(config)
	rows := []*row{}
	for _, entry := range table {
		row := &row{entry: entry, service: reflect.ValueOf(clients[entry.Resource]), clients: clients}
		rows = append(rows, row)
		for _, what := range entry.Checks {
			if !row.say(what) && what == "create" {
				break
			}
		}
	}
	slices.Reverse(rows)
	for _, row := range rows {
		if row.Delete {
			row.say("delete")
		}
	}
}
