// The registry of the runner's image. It stays reachable: its build tasks come from outside any network of ours.
param location string
param tags object
param name string
param sku string
param zoneRedundant bool

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: sku }
  properties: {
    adminUserEnabled: false
    zoneRedundancy: zoneRedundant && sku == 'Premium' ? 'Enabled' : 'Disabled'
  }
}

output loginServer string = registry.properties.loginServer
