# The router of Rails as it comes: it merges slashes and takes `.json` off the last name.
require "action_dispatch"

secret = ->(_) { [200, { "Content-Type" => "text/plain" }, ["secret"]] }
public = ->(_) { [200, { "Content-Type" => "text/plain" }, ["public"]] }
routes = ActionDispatch::Routing::RouteSet.new
routes.draw do
  match "/admin", to: secret, via: :all
  match "/admin/*rest", to: secret, via: :all
  match "/", to: public, via: :all
  match "*rest", to: public, via: :all
end
run routes
